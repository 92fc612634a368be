use super::{Sampler, Sampling, TextStream};

const PLAIN: Sampling = Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, seed: 1 };

/// Stop strings, pieces pushed, text after each and at the end, whether a stop string was met.
type Case = (&'static [&'static str], &'static [&'static [u8]], &'static [&'static str], bool);

/// Pushes `pieces` and returns what came out after each, and at the end.
fn said(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
    let mut text = TextStream::new(stops.iter().map(|&stop| stop.to_owned()).collect());
    let mut said: Vec<String> = pieces.iter().map(|piece| text.push(piece)).collect();
    said.push(text.finish());
    (said, text.stopped())
}

#[test]
fn text_comes_out_as_soon_as_it_is_certain() {
    let cases: &[Case] = &[
        (&[], &[b"ab", b"c"], &["ab", "c", ""], false),
        (&["STOP"], &[b"a S", b"TO", b"P b"], &["a ", "", "", ""], true),
        (&["STOP"], &[b"a S", b"TO", b"X b"], &["a ", "", "STOX b", ""], false),
        (&["STOP"], &[b"a ST"], &["a ", "ST"], false),
        (&["bc", "abcd"], &[b"a", b"b", b"c", b"d"], &["", "", "a", "", ""], true),
        (&["aab"], &[b"aaa", b"ab"], &["a", "a", ""], true),
        (&[""], &[b"x"], &["x", ""], false),
        (&["\n\n"], &[b"x\n", b"y\n", b"\nz"], &["x", "\ny", "", ""], true),
        (&[], &[&[0xc3], &[0xa9]], &["", "é", ""], false),
        (&[], &[&[0xf0, 0x9f], &[0x98], &[0x80, b'!']], &["", "", "😀!", ""], false),
        (&[], &[&[0xf0, 0x9f], b"a"], &["", "\u{fffd}a", ""], false),
        (&[], &[&[b'a', 0xe2, 0x82]], &["a", "\u{fffd}"], false),
        (&["é!"], &[&[0xc3], &[0xa9], b"?"], &["", "", "é?", ""], false),
    ];
    for (stops, pieces, expected, stopped) in cases {
        let (got, did_stop) = said(stops, pieces);
        assert!(got == *expected && did_stop == *stopped, "{stops:?} {pieces:?} gave {got:?} {did_stop}");
    }
}

fn counts(sampling: Sampling, logits: &[f32]) -> Vec<usize> {
    let mut sampler = Sampler::new(sampling);
    let mut counts = vec![0; logits.len()];
    (0..2_000).for_each(|_| counts[sampler.choose(logits) as usize] += 1);
    counts
}

#[test]
fn sampling_follows_its_parameters() {
    // Probabilities 0.1, 0.2, 0.3, 0.4.
    let logits = [0.1_f32, 0.2, 0.3, 0.4].map(f32::ln);
    let near = |counts: &[usize], shares: [f64; 4]| {
        counts.iter().zip(shares).all(|(count, share)| (*count as f64 / 2_000.0 - share).abs() < 0.04)
    };
    let cases = [
        (PLAIN, [0.1, 0.2, 0.3, 0.4]),
        (Sampling { temperature: 0.0, ..PLAIN }, [0.0, 0.0, 0.0, 1.0]),
        (Sampling { top_k: 1, ..PLAIN }, [0.0, 0.0, 0.0, 1.0]),
        (Sampling { top_k: 2, ..PLAIN }, [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]),
        (Sampling { top_p: 0.65, ..PLAIN }, [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]),
        (Sampling { top_p: 0.0, ..PLAIN }, [0.0, 0.0, 0.0, 1.0]),
        (Sampling { top_k: 3, top_p: 0.5, ..PLAIN }, [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]),
        (Sampling { temperature: 0.5, ..PLAIN }, [1.0 / 30.0, 4.0 / 30.0, 9.0 / 30.0, 16.0 / 30.0]),
    ];
    for (sampling, shares) in cases {
        let counts = counts(sampling.clone(), &logits);
        assert!(near(&counts, shares), "{sampling:?} gave {counts:?}");
    }
}

#[test]
fn top_p_finds_its_tokens_among_many() {
    let flat = vec![0.0_f32; 5_000];
    let mut sampler = Sampler::new(Sampling { top_p: 0.5, ..PLAIN });
    assert!((0..500).all(|_| (sampler.choose(&flat) as usize) < 2_600));
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let logits: Vec<f32> = (0..100).map(|i| (i % 7) as f32 * 0.3).collect();
    let run = |seed| {
        let mut sampler = Sampler::new(Sampling { seed, ..PLAIN });
        (0..50).map(|_| sampler.choose(&logits)).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn broken_logits_still_choose_a_token() {
    for logits in [[f32::NAN; 4], [f32::NEG_INFINITY; 4], [f32::INFINITY; 4]] {
        for temperature in [0.0, 1.0] {
            let token = Sampler::new(Sampling { temperature, top_p: 0.5, ..PLAIN }).choose(&logits);
            assert!(token < 4);
        }
    }
}
