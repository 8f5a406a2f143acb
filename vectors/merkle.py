"""The Merkle tree of RFC 9162 section 2.1, standard library only.

`check(document)` recomputes every root and proof of merkle.json by the RFC's recursive definitions, verifies each proof
by the RFC's verification walks, and returns how many things it checked; it raises ValueError at the first that
disagrees.
"""

import hashlib


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(entry):
    return sha256(b"\x00" + entry)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def split(n):
    """The largest power of two strictly below n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(entries):
    """The root over entries, RFC 9162 section 2.1.1."""
    return root_of([leaf_hash(entry) for entry in entries])


def root_of(leaf_hashes):
    """The same over leaf hashes."""
    if not leaf_hashes:
        return sha256(b"")
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    k = split(len(leaf_hashes))
    return node_hash(root_of(leaf_hashes[:k]), root_of(leaf_hashes[k:]))


def path(m, entries):
    """RFC 9162 section 2.1.3.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return path(m, entries[:k]) + [mth(entries[k:])]
    return path(m - k, entries[k:]) + [mth(entries[:k])]


def subproof(m, entries, whole):
    """RFC 9162 section 2.1.4.1."""
    if m == len(entries):
        return [] if whole else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return subproof(m, entries[:k], whole) + [mth(entries[k:])]
    return subproof(m - k, entries[k:], False) + [mth(entries[:k])]


def verify_inclusion(leaf, index, size, proof, root):
    """RFC 9162 section 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def verify_consistency(first, first_hash, second, second_hash, proof):
    """RFC 9162 section 2.1.4.2, with its two trivial cases: equal sizes, and the empty tree before any other."""
    if first > second or (first == 0 and first_hash != sha256(b"")):
        return False
    if first == second:
        return first_hash == second_hash and not proof
    if first == 0:
        return not proof
    if not proof:
        return False
    if first & (first - 1) == 0:
        proof = [first_hash] + proof
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_hash and sr == second_hash


def check(document):
    def expect(condition, what):
        if not condition:
            raise ValueError("merkle.json: " + what)

    entries = [bytes.fromhex(leaf) for leaf in document["leaves_hex"]]
    roots = [bytes.fromhex(root) for root in document["roots"]]
    sizes = range(len(entries) + 1)
    expect(roots == [mth(entries[:n]) for n in sizes], "roots")

    pairs = [(v["index"], v["size"]) for v in document["inclusion"]]
    expect(sorted(pairs) == sorted((i, n) for n in sizes for i in range(n)), "inclusion: not every (index, size) once")
    for vector in document["inclusion"]:
        i, n = vector["index"], vector["size"]
        proof = [bytes.fromhex(h) for h in vector["proof"]]
        leaf = leaf_hash(entries[i])
        expect(proof == path(i, entries[:n]), "inclusion proof of %d in %d" % (i, n))
        expect(verify_inclusion(leaf, i, n, proof, roots[n]), "inclusion of %d in %d does not verify" % (i, n))
        expect(not verify_inclusion(leaf, i, n, proof + [leaf], roots[n]), "a longer proof verifies")

    pairs = [(v["from"], v["to"]) for v in document["consistency"]]
    expect(sorted(pairs) == sorted((m, n) for n in sizes for m in range(n + 1)), "consistency: not every (from, to) once")
    for vector in document["consistency"]:
        m, n = vector["from"], vector["to"]
        proof = [bytes.fromhex(h) for h in vector["proof"]]
        expect(proof == (subproof(m, entries[:n], True) if m else []), "consistency proof of %d in %d" % (m, n))
        expect(verify_consistency(m, roots[m], n, roots[n], proof), "consistency of %d with %d does not verify" % (m, n))
        expect(not verify_consistency(m, roots[m], n, roots[n], proof + [roots[m]]), "a longer proof verifies")

    return len(roots) + len(document["inclusion"]) + len(document["consistency"])
