//! Numbers: RFC 8785 Appendix B, and the deterministic number file of the RFC's repository.

use sha2::{Digest, Sha256};
use tracekeep_core::json::{Number, Value, canonical_json, parse, write_f64, write_i64, write_u64};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn with_number<T>(token: &str, read: impl FnOnce(&Number<'_>) -> T) -> T {
    match parse(token.as_bytes()).unwrap() {
        Value::Number(number) => read(&number),
        other => panic!("{token} is a {}", other.type_name()),
    }
}

/// Appendix B of RFC 8785, the finite ones.
#[test]
fn appendix_b_is_written_as_the_rfc_has_it() {
    #[track_caller]
    fn check(bits: u64, expected: &str) {
        let x = f64::from_bits(bits);
        assert_eq!(written(|out| write_f64(out, x)), expected);
        let back = with_number(expected, |number| number.as_f64());
        assert_eq!(back, x);
        assert!(back.is_sign_positive() || back != 0.0);
    }
    check(0x0000000000000000, "0");
    check(0x8000000000000000, "0");
    check(0x0000000000000001, "5e-324");
    check(0x8000000000000001, "-5e-324");
    check(0x7fefffffffffffff, "1.7976931348623157e+308");
    check(0xffefffffffffffff, "-1.7976931348623157e+308");
    check(0x4340000000000000, "9007199254740992");
    check(0xc340000000000000, "-9007199254740992");
    check(0x4430000000000000, "295147905179352830000");
    check(0x44b52d02c7e14af5, "9.999999999999997e+22");
    check(0x44b52d02c7e14af6, "1e+23");
    check(0x44b52d02c7e14af7, "1.0000000000000001e+23");
    check(0x444b1ae4d6e2ef4e, "999999999999999700000");
    check(0x444b1ae4d6e2ef4f, "999999999999999900000");
    check(0x444b1ae4d6e2ef50, "1e+21");
    check(0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7");
    check(0x3eb0c6f7a0b5ed8d, "0.000001");
    check(0x41b3de4355555553, "333333333.3333332");
    check(0x41b3de4355555554, "333333333.33333325");
    check(0x41b3de4355555555, "333333333.3333333");
    check(0x41b3de4355555556, "333333333.3333334");
    check(0x41b3de4355555557, "333333333.33333343");
    check(0xbecbf647612f3696, "-0.0000033333333333333333");
    check(0x43143ff3c1cb0959, "1424953923781206.2");
}

#[test]
fn the_number_file_has_the_published_digests_and_every_line_reads_back() {
    let mut doubles = Doubles::new();
    let mut digest = Sha256::new();
    let mut line = Vec::new();
    let mut lines_seen = 0;
    for (line_count, expected) in [
        (1_000, "be18b62b6f69cdab33a7e0dae0d9cfa869fda80ddc712221570f9f40a5878687"),
        (10_000, "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892"),
        (100_000, "22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7"),
        (1_000_000, "49415fee2c56c77864931bd3624faad425c3c577d6d74e89a83bc725506dad16"),
    ] {
        while lines_seen < line_count {
            let x = doubles.next_double();
            line.clear();
            line.extend_from_slice(format!("{:x},", x.to_bits()).as_bytes());
            let start = line.len();
            write_f64(&mut line, x);
            let Value::Number(number) = parse(&line[start..]).unwrap() else { panic!("not a number") };
            // Minus zero is the one double that does not come back.
            assert_eq!(number.as_f64().to_bits(), (x + 0.0).to_bits());
            line.push(b'\n');
            digest.update(&line);
            lines_seen += 1;
        }
        let hex: String = digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected, "after {line_count} lines");
    }
}

#[test]
fn a_token_reads_the_same_before_and_after_canonicalising() {
    for token in [
        "0",
        "-0",
        "-0.0",
        "1",
        "1.0",
        "1e3",
        "-1.50",
        "9007199254740993",
        "9007199254740993.0",
        "1e18",
        "1e19",
        "1e20",
        "1.2345678901234567e18",
        "9.2233720368547758e18",
        "1.8446744073709552e19",
        "1e21",
        "1e-400",
        "5e-324",
    ] {
        let canonical = canonical_json(token.as_bytes()).unwrap();
        let all = |number: &Number<'_>| (number.as_f64().to_bits(), number.as_i64(), number.as_u64());
        assert_eq!(with_number(token, all), with_number(&canonical, all), "{token}");
        with_number(token, |a| with_number(&canonical, |b| assert_eq!(a, b)));
    }
}

#[test]
fn whole_numbers_are_read_exactly_however_they_are_spelt() {
    #[track_caller]
    fn check(token: &str, signed: Option<i64>, unsigned: Option<u64>) {
        assert_eq!(with_number(token, |number| (number.as_i64(), number.as_u64())), (signed, unsigned));
    }
    check("1", Some(1), Some(1));
    check("1.0", Some(1), Some(1));
    check("1e3", Some(1000), Some(1000));
    check("15e-1", None, None);
    check("150e-1", Some(15), Some(15));
    check("0.5", None, None);
    check("-1", Some(-1), None);
    check("-1.0", Some(-1), None);
    check("-0", Some(0), Some(0));
    check("-0.0", Some(0), Some(0));
    check("-1e-400", Some(0), Some(0));
    check("9007199254740993", Some(9_007_199_254_740_993), Some(9_007_199_254_740_993));
    check("9007199254740993.0", Some(9_007_199_254_740_992), Some(9_007_199_254_740_992));
    check("9223372036854775807", Some(i64::MAX), Some(9_223_372_036_854_775_807));
    check("9223372036854775808", None, Some(9_223_372_036_854_775_808));
    check("-9223372036854775808", Some(i64::MIN), None);
    check("-9223372036854775809", None, None);
    check("18446744073709551615", None, Some(u64::MAX));
    check("18446744073709551616", None, None);
    check("1e300", None, None);
}

#[test]
fn the_token_is_kept_as_it_stood() {
    for token in ["-0.0", "1E+2", "10.00", "18446744073709551616"] {
        assert_eq!(with_number(token, |number| number.token().to_owned()), token);
    }
}

#[test]
fn numbers_are_equal_when_their_canonical_texts_are() {
    let equal = |a: &str, b: &str| with_number(a, |a| with_number(b, |b| a == b));
    for (a, b) in [("1", "1.0"), ("1e2", "100"), ("0", "-0"), ("-0.0", "0"), ("0.1", "1e-1"), ("1e20", "1.0e20")] {
        assert!(equal(a, b) && equal(b, a), "{a} {b}");
    }
    for (a, b) in
        [("9007199254740993", "9007199254740992"), ("1e21", "1000000000000000000000"), ("1", "-1"), ("1", "1.5")]
    {
        assert!(!equal(a, b) && !equal(b, a), "{a} {b}");
    }
}

#[test]
fn integers_are_written_with_their_exact_digits() {
    for x in [0, 1, -1, 9, 10, -10, 99, 100, 9_007_199_254_740_993, i64::MAX, i64::MIN] {
        assert_eq!(written(|out| write_i64(out, x)), x.to_string());
    }
    for x in [0, 7, 10, u64::MAX, u64::MAX - 1, 10_000_000_000_000_000_000] {
        assert_eq!(written(|out| write_u64(out, x)), x.to_string());
    }
}

#[test]
fn long_tokens_take_linear_time() {
    let zeros = "0".repeat(1_000_000);
    assert_eq!(canonical_json(format!("0.{zeros}1").as_bytes()).unwrap(), "0");
    assert_eq!(canonical_json(format!("1.{zeros}").as_bytes()).unwrap(), "1");
    assert_eq!(canonical_json(format!("1{zeros}e-1000000").as_bytes()).unwrap(), "1");
    assert_eq!(canonical_json(format!("0e{zeros}9").as_bytes()).unwrap(), "0");
    assert_eq!(canonical_json(format!("1e-9{zeros}").as_bytes()).unwrap(), "0");
    assert!(canonical_json(format!("1e9{zeros}").as_bytes()).is_err());
    assert!(canonical_json(format!("1{zeros}").as_bytes()).is_err());
}

/// `str::parse::<f64>` alone gives zero and infinity for the first four: it stops counting exponents near 65,536.
#[test]
fn digits_may_make_up_for_any_exponent() {
    #[track_caller]
    fn check(token: &str, expected: f64) {
        let read = with_number(token, |number| number.as_f64());
        assert_eq!(read.to_bits(), expected.to_bits(), "{read} instead of {expected}");
    }
    let zeros = "0".repeat(700_000);
    check(&format!("0.{zeros}1e700001"), 1.0);
    check(&format!("-0.{zeros}125E+700001"), -1.25);
    check(&format!("1{zeros}e-700000"), 1.0);
    check(&format!("15{zeros}.{zeros}e-0{zeros}700000"), 15.0);
    check(&format!("0.{zeros}e{zeros}9"), 0.0);
    check(&format!("-0.{zeros}e99999999999999999999999999"), 0.0);
    check(&format!("1.{zeros}e-99999999999999999999999999"), 0.0);
    // Halfway between 1 and the next double, and the least bit to either side, far beyond the decisive digits.
    let half = "1.00000000000000011102230246251565404236316680908203125";
    let above = f64::from_bits(1.0f64.to_bits() + 1);
    check(&format!("{half}{zeros}"), 1.0);
    check(&format!("{half}{zeros}1"), above);
    check(&format!("{}4{}", &half[..half.len() - 1], "9".repeat(700_000)), 1.0);
    // The midpoint below the smallest normal double has the most significant digits there are.
    let midpoint = format!("{:.1075}", Exact((1 << 53) - 1));
    let normal = f64::MIN_POSITIVE;
    check(&format!("{midpoint}{zeros}"), normal);
    check(&format!("{}4{}", &midpoint[..midpoint.len() - 1], "9".repeat(700_000)), normal.next_down());
    check(&format!("{midpoint}{zeros}1"), normal);
    let midpoint = format!("{:.1075}", Exact(5));
    check(&format!("{midpoint}{zeros}"), f64::from_bits(2));
    check(&format!("{midpoint}{zeros}1"), f64::from_bits(3));
}

/// So many times 2^-1075, in full.
struct Exact(u64);

impl std::fmt::Display for Exact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digit_count = f.precision().unwrap();
        let mut digits = vec![0u64; digit_count + 1];
        digits[0] = self.0;
        for _ in 0..digit_count {
            let mut rest = 0;
            for digit in &mut digits {
                let value = rest * 10 + *digit;
                *digit = value / 2;
                rest = value % 2;
            }
            assert_eq!(rest, 0);
        }
        let digits: Vec<String> = digits.iter().map(u64::to_string).collect();
        write!(f, "{}.{}", digits[0], digits[1..].concat())
    }
}

/// The generator of the number file: testdata/numgen.go at commit 19d51d7f of cyberphone/json-canonicalization.
struct Doubles {
    index: usize,
    block: [u8; 32],
    block_used: usize,
}

impl Doubles {
    const SERIAL_COUNT: usize = 2_000;

    fn new() -> Self {
        Self { index: 0, block: [0; 32], block_used: 32 }
    }

    fn next_double(&mut self) -> f64 {
        let index = self.index;
        self.index += 1;
        if let Some(bits) = FIXED.get(index) {
            return f64::from_bits(*bits);
        }
        if index < FIXED.len() + Self::SERIAL_COUNT {
            return f64::from_bits(0x0010_0000_0000_0000 + (index - FIXED.len()) as u64);
        }
        loop {
            if self.block_used == self.block.len() {
                self.block = Sha256::digest(self.block).into();
                self.block_used = 0;
            }
            let bytes = &self.block[self.block_used..self.block_used + 8];
            self.block_used += 8;
            let x = f64::from_le_bytes(bytes.try_into().unwrap());
            if x != 0.0 && x.is_finite() {
                return x;
            }
        }
    }
}

#[rustfmt::skip]
const FIXED: [u64; 168] = [
    0x0000_0000_0000_0000, 0x8000_0000_0000_0000, 0x0000_0000_0000_0001, 0x8000_0000_0000_0001,
    0xc466_9669_5dbd_1cc3, 0xc432_11ed_e497_4a35, 0xc3fc_e97c_a0f2_1056, 0xc3c7_2130_80c1_a6ac,
    0xc392_80f3_9a34_8556, 0xc35d_9b1f_5d20_d557, 0xc327_af4c_4a80_aaac, 0xc2f2_f2a3_6ecd_5556,
    0xc2be_5105_7e15_5558, 0xc288_40d1_31aa_aaac, 0xc253_670d_c155_5557, 0xc21f_0b49_3555_5557,
    0xc1e8_d5d4_2aaa_aaac, 0xc1b3_de43_5555_5556, 0xc17f_ca05_5555_5556, 0xc149_6e6a_aaaa_aaab,
    0xc114_5855_5555_5555, 0xc0e0_46aa_aaaa_aaab, 0xc0aa_0aaa_aaaa_aaaa, 0xc074_d555_5555_5555,
    0xc040_aaaa_aaaa_aaab, 0xc00a_aaaa_aaaa_aaab, 0xbfd5_5555_5555_5555, 0xbfa1_1111_1111_1111,
    0xbf6b_4e81_b4e8_1b4f, 0xbf35_d867_c3ec_e2a5, 0xbf01_79ec_9cbd_821e, 0xbecb_f647_612f_3696,
    0xbe96_5e9f_80f2_9212, 0xbe61_e54c_6728_74db, 0xbe2c_a213_d840_baf8, 0xbdf6_e80f_e033_c8c6,
    0xbdc2_533f_e68f_d3d2, 0xbd8d_51ff_d74c_861c, 0xbd57_74cc_ac3d_3817, 0xbd22_c3d6_f030_f9ac,
    0xbcee_0624_b381_8f79, 0xbcb8_04ea_2934_72c7, 0xbc83_3721_ba90_5bd3, 0xbc4e_be9c_5db3_c61e,
    0xbc18_987d_17c3_04e5, 0xbbe3_ad30_dfcf_371d, 0xbbaf_7b81_6618_582f, 0xbb79_2f9a_b813_79bf,
    0xbb44_2615_600f_9499, 0xbb10_1e77_800c_76e1, 0xbad9_ca58_cce0_be35, 0xbaa4_a1e0_a3e6_fe90,
    0xba70_8180_831f_320d, 0xba3a_68cd_9e98_5016, 0x4466_9669_5dbd_1cc3, 0x4432_11ed_e497_4a35,
    0x43fc_e97c_a0f2_1056, 0x43c7_2130_80c1_a6ac, 0x4392_80f3_9a34_8556, 0x435d_9b1f_5d20_d557,
    0x4327_af4c_4a80_aaac, 0x42f2_f2a3_6ecd_5556, 0x42be_5105_7e15_5558, 0x4288_40d1_31aa_aaac,
    0x4253_670d_c155_5557, 0x421f_0b49_3555_5557, 0x41e8_d5d4_2aaa_aaac, 0x41b3_de43_5555_5556,
    0x417f_ca05_5555_5556, 0x4149_6e6a_aaaa_aaab, 0x4114_5855_5555_5555, 0x40e0_46aa_aaaa_aaab,
    0x40aa_0aaa_aaaa_aaaa, 0x4074_d555_5555_5555, 0x4040_aaaa_aaaa_aaab, 0x400a_aaaa_aaaa_aaab,
    0x3fd5_5555_5555_5555, 0x3fa1_1111_1111_1111, 0x3f6b_4e81_b4e8_1b4f, 0x3f35_d867_c3ec_e2a5,
    0x3f01_79ec_9cbd_821e, 0x3ecb_f647_612f_3696, 0x3e96_5e9f_80f2_9212, 0x3e61_e54c_6728_74db,
    0x3e2c_a213_d840_baf8, 0x3df6_e80f_e033_c8c6, 0x3dc2_533f_e68f_d3d2, 0x3d8d_51ff_d74c_861c,
    0x3d57_74cc_ac3d_3817, 0x3d22_c3d6_f030_f9ac, 0x3cee_0624_b381_8f79, 0x3cb8_04ea_2934_72c7,
    0x3c83_3721_ba90_5bd3, 0x3c4e_be9c_5db3_c61e, 0x3c18_987d_17c3_04e5, 0x3be3_ad30_dfcf_371d,
    0x3baf_7b81_6618_582f, 0x3b79_2f9a_b813_79bf, 0x3b44_2615_600f_9499, 0x3b10_1e77_800c_76e1,
    0x3ad9_ca58_cce0_be35, 0x3aa4_a1e0_a3e6_fe90, 0x3a70_8180_831f_320d, 0x3a3a_68cd_9e98_5016,
    0x4024_0000_0000_0000, 0x4014_0000_0000_0000, 0x3fe0_0000_0000_0000, 0x3fa9_9999_9999_999a,
    0x3f74_7ae1_47ae_147b, 0x3f40_624d_d2f1_a9fc, 0x3f0a_36e2_eb1c_432d, 0x3ed4_f8b5_88e3_68f1,
    0x3ea0_c6f7_a0b5_ed8d, 0x3e6a_d7f2_9abc_af48, 0x3e35_798e_e230_8c3a, 0x3ed5_3922_3589_fa95,
    0x3ed4_ff26_cd5a_7781, 0x3ed4_f95a_7622_83ff, 0x3ed4_f8c6_0703_520c, 0x3ed4_f8b7_2f19_cd0d,
    0x3ed4_f8b5_b31c_0c8d, 0x3ed4_f8b5_8d1c_461a, 0x3ed4_f8b5_894f_7f0e, 0x3ed4_f8b5_88ee_37f3,
    0x3ed4_f8b5_88e4_7da4, 0x3ed4_f8b5_88e3_849c, 0x3ed4_f8b5_88e3_6bb5, 0x3ed4_f8b5_88e3_6937,
    0x3ed4_f8b5_88e3_68f8, 0x3ed4_f8b5_88e3_68f1, 0x3ff0_0000_0000_0000, 0xbff0_0000_0000_0000,
    0xbfef_ffff_ffff_fffa, 0xbfef_ffff_ffff_fffb, 0x3fef_ffff_ffff_fffa, 0x3fef_ffff_ffff_fffb,
    0x3fef_ffff_ffff_fffc, 0x3fef_ffff_ffff_fffe, 0xbfef_ffff_ffff_ffff, 0xbfef_ffff_ffff_ffff,
    0x3fef_ffff_ffff_ffff, 0x3fef_ffff_ffff_ffff, 0x3fd3_3333_3333_3332, 0x3fd3_3333_3333_3333,
    0x3fd3_3333_3333_3334, 0x0010_0000_0000_0000, 0x000f_ffff_ffff_fffd, 0x000f_ffff_ffff_ffff,
    0x7fef_ffff_ffff_ffff, 0xffef_ffff_ffff_ffff, 0x4340_0000_0000_0000, 0xc340_0000_0000_0000,
    0x4430_0000_0000_0000, 0x44b5_2d02_c7e1_4af5, 0x44b5_2d02_c7e1_4af6, 0x44b5_2d02_c7e1_4af7,
    0x444b_1ae4_d6e2_ef4e, 0x444b_1ae4_d6e2_ef4f, 0x444b_1ae4_d6e2_ef50, 0x3eb0_c6f7_a0b5_ed8c,
    0x3eb0_c6f7_a0b5_ed8d, 0x41b3_de43_5555_5553, 0x41b3_de43_5555_5554, 0x41b3_de43_5555_5555,
    0x41b3_de43_5555_5556, 0x41b3_de43_5555_5557, 0xbecb_f647_612f_3696, 0x4314_3ff3_c1cb_0959,
];
