//! One proof of many leaves: the nodes that they do not say themselves.

use super::proof::{Tiles, split};
use super::{ProofError, TileReader, VerifyError, empty_root, node_hash};
use crate::hash::Hash;

/// The proof that leaves stand at these places in the tree of the first `size` leaves.
///
/// The tree is walked from its root, left to right. A subtree with none of the places in it gives its root, a place by
/// itself gives nothing, and everything else is split at the largest power of two below its size. So the number and the
/// order of the nodes follow from size and places, and there is one proof of them: at most k · log₂ n nodes for k places.
/// No places give the root alone, and the empty tree gives nothing.
///
/// Reads as many tiles as there are nodes at most, from left to right, and holds one of each level.
///
/// # Errors
/// [`ProofError::Index`] unless the places ascend, without a repetition, and are below `size`; [`ProofError::Read`] and
/// [`ProofError::Width`] from the reader.
pub fn multiproof<R: TileReader + ?Sized>(
    reader: &R,
    indices: &[u64],
    size: u64,
) -> Result<Vec<Hash>, ProofError<R::Error>> {
    if let Some(index) = out_of_place(indices.iter().copied(), size) {
        return Err(ProofError::Index { index, size });
    }
    let mut nodes = Vec::new();
    if size > 0 {
        gather(&mut Tiles::passing(reader, size), 0, size, indices, &mut nodes)?;
    }
    Ok(nodes)
}

fn gather<R: TileReader + ?Sized>(
    tiles: &mut Tiles<'_, R>,
    begin: u64,
    end: u64,
    indices: &[u64],
    nodes: &mut Vec<Hash>,
) -> Result<(), ProofError<R::Error>> {
    if indices.is_empty() {
        nodes.push(tiles.subtree(begin, end)?);
    } else if end - begin > 1 {
        let middle = begin + split(end - begin);
        let (left, right) = indices.split_at(indices.partition_point(|index| *index < middle));
        gather(tiles, begin, middle, left, nodes)?;
        gather(tiles, middle, end, right, nodes)?;
    }
    Ok(())
}

/// Verifies that leaves with these hashes stand at these places in the tree of `size` leaves with this root. What
/// [`multiproof`] gives is the only proof that is accepted.
///
/// `size` and `root` must come from one trusted place, as for [`verify_inclusion`](super::verify_inclusion).
///
/// # Errors
/// [`VerifyError::Index`] where the places do not ascend, are repeated, or are not below `size`;
/// [`VerifyError::TooShort`], [`VerifyError::TooLong`], [`VerifyError::Root`]. All of them mean that nothing is proved.
pub fn verify_multiproof(leaves: &[(u64, Hash)], size: u64, nodes: &[Hash], root: &Hash) -> Result<(), VerifyError> {
    if let Some(index) = out_of_place(leaves.iter().map(|(index, _)| *index), size) {
        return Err(VerifyError::Index { index, size });
    }
    let mut rest = nodes.iter();
    let computed =
        if size == 0 { Some(empty_root()) } else { fold(0, size, leaves, &mut rest, 0).map(|(root, _)| root) };
    let computed = computed.ok_or(VerifyError::TooShort)?;
    if rest.next().is_some() {
        return Err(VerifyError::TooLong);
    }
    if computed == *root { Ok(()) } else { Err(VerifyError::Root) }
}

/// The root of the tree of the first `from` leaves, out of a proof that [`verify_multiproof`] accepts: so it proves that the
/// tree of `size` leaves extends that one, too.
///
/// `None` unless the last of them, at `from` - 1, is among the leaves (every subtree that reaches beyond it is split then), or
/// `from` is `size`.
#[must_use]
pub fn earlier_root(leaves: &[(u64, Hash)], size: u64, nodes: &[Hash], from: u64) -> Option<Hash> {
    let last = from.checked_sub(1).filter(|last| *last < size)?;
    let is_split = from == size || leaves.binary_search_by_key(&last, |(index, _)| *index).is_ok();
    if is_split { fold(0, size, leaves, &mut nodes.iter(), from)?.1 } else { None }
}

/// The root over the leaves begin..end, and over what of them is below `from`, where anything is; `None` where a node is
/// missing. As deep as the tree is high, 64 at most.
fn fold(
    begin: u64,
    end: u64,
    leaves: &[(u64, Hash)],
    nodes: &mut std::slice::Iter<'_, Hash>,
    from: u64,
) -> Option<(Hash, Option<Hash>)> {
    let root = match leaves {
        [] => *nodes.next()?,
        [(_, leaf)] if end - begin == 1 => *leaf,
        _ => {
            let middle = begin + split(end - begin);
            let (left, right) = leaves.split_at(leaves.partition_point(|(index, _)| *index < middle));
            let (left, left_below) = fold(begin, middle, left, nodes, from)?;
            let (right, right_below) = fold(middle, end, right, nodes, from)?;
            let below = right_below.map_or(left_below, |right| Some(node_hash(&left, &right)));
            return Some((node_hash(&left, &right), below));
        }
    };
    Some((root, (end <= from).then_some(root)))
}

/// The first place that does not follow the one before it, or that a tree of `size` leaves does not have.
fn out_of_place(indices: impl Iterator<Item = u64>, size: u64) -> Option<u64> {
    let mut least = 0;
    for index in indices {
        if index < least || index >= size {
            return Some(index);
        }
        least = index + 1;
    }
    None
}
