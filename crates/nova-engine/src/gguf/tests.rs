use super::{BLOCK, Header, TensorKind};
use crate::backend::Isa;
use crate::error::EngineError;
use crate::random;
use crate::testing::{Numbers, TempFile};

fn read(bytes: &[u8]) -> Result<Header, String> {
    Header::read(bytes, bytes.len() as u64).map_err(|e| e.reason)
}

#[test]
fn a_random_model_reads_back() {
    let header = read(&random::bytes(1)).unwrap();
    assert_eq!(header.text("general.architecture"), Some("llama"));
    assert_eq!(header.unsigned("llama.block_count"), Some(4));
    assert_eq!(header.texts("tokenizer.ggml.tokens").unwrap()[2], "<|im_end|>");
    let tensor = header.tensor("blk.3.ffn_down.weight").unwrap();
    assert_eq!((tensor.kind, tensor.row, tensor.rows), (TensorKind::Q8_0, 256, 128));
    assert_eq!(header.unsigned("general.architecture"), None, "a text is no number");
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let whole = random::bytes(1);
    // The header ends some 12 KB in; behind it lie only weights.
    for len in (0..14_000).step_by(7).chain((14_000..whole.len()).step_by(9_973)) {
        assert!(read(&whole[..len]).is_err(), "{len} of {} bytes were taken for a whole file", whole.len());
    }
}

#[test]
fn no_changed_byte_in_a_header_makes_the_reader_panic() {
    let whole = random::bytes(1);
    let mut refused = 0;
    for at in 0..12_000 {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            refused += usize::from(read(&bytes).is_err());
        }
    }
    assert!(refused > 1_000);
}

#[test]
fn no_changed_byte_in_a_header_makes_loading_panic() {
    let whole = random::bytes(1);
    let mut numbers = Numbers(7);
    for _ in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..2 {
            bytes[24 + numbers.next() as usize % 12_000] ^= 1 << (numbers.next() % 8);
        }
        let file = TempFile::new(&bytes);
        let options = crate::EngineOptions { threads: Some(1), ..crate::EngineOptions::new(file.path()) };
        // Either is fine; the test is that it returns.
        let _: Result<_, EngineError> =
            crate::engine::load_bounded(&options, Default::default(), 64, Isa::detect());
    }
}

#[test]
fn absurd_claims_are_refused_by_name() {
    let with = |rest: &[&[u8]]| {
        [b"GGUF".as_slice(), &3_u32.to_le_bytes()]
            .into_iter()
            .chain(rest.iter().copied())
            .flatten()
            .copied()
            .collect::<Vec<u8>>()
    };
    let n = |n: u64| n.to_le_bytes();
    let cases: [(Vec<u8>, &str); 6] = [
        (b"PK\x03\x04".to_vec(), "does not start with `GGUF`"),
        ([b"GGUF".as_slice(), &9_u32.to_le_bytes()].concat(), "version is `9`"),
        (with(&[&n(u64::MAX), &n(1)]), "tensors"),
        (with(&[&n(0), &n(u64::MAX)]), "key-value pairs"),
        (with(&[&n(0), &n(1), &n(u64::MAX)]), "bytes in a text"),
        (
            with(&[&n(0), &n(1), &n(1), b"k", &9_u32.to_le_bytes(), &9_u32.to_le_bytes(), &n(1)]),
            "array of arrays",
        ),
    ];
    for (bytes, reason) in cases {
        let error = read(&bytes).unwrap_err();
        assert!(error.contains(reason), "{error:?} does not say {reason:?}");
    }
}

#[test]
fn blocks_decode_by_their_published_layouts() {
    let half_1 = 0x3c00_u16.to_le_bytes();
    let half_minus_2 = 0xc000_u16.to_le_bytes();
    let low_1_high_15 = [0xf1; 16];
    let fifth = [0xff, 0xff, 0, 0];
    let cases: [(TensorKind, Vec<u8>, f32, f32); 5] = [
        (TensorKind::Q4_0, [&half_1[..], &low_1_high_15].concat(), -7.0, 7.0),
        (TensorKind::Q4_1, [&half_1[..], &half_minus_2, &low_1_high_15].concat(), -1.0, 13.0),
        (TensorKind::Q5_0, [&half_1[..], &fifth, &low_1_high_15].concat(), 1.0, -1.0),
        (TensorKind::Q5_1, [&half_1[..], &half_minus_2, &fifth, &low_1_high_15].concat(), 15.0, 13.0),
        (TensorKind::Q8_0, [&half_minus_2[..], &[0x80; 16], &[0x7f; 16]].concat(), 256.0, -254.0),
    ];
    for (kind, bytes, first, last) in cases {
        let mut out = [0.0; BLOCK];
        kind.decode(&bytes, &mut out);
        assert_eq!(bytes.len(), kind.block_bytes());
        assert_eq!((out[0], out[15], out[16], out[31]), (first, first, last, last), "{kind:?}");
    }
}

#[test]
fn halves_convert_exactly() {
    let mut out = [0.0; BLOCK];
    for (half, value) in
        [(0x0001_u16, 5.960_464_5e-8), (0x7bff, 65_504.0), (0x8000, -0.0), (0x3555, 0.333_251_95)]
    {
        TensorKind::F16.decode(&half.to_le_bytes().repeat(BLOCK), &mut out);
        assert_eq!(out[31], value);
    }
}
