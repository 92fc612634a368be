//! Prints how fast the local engine is here: `cargo run --release --example bench -p nova-engine -- MODEL.gguf [THREADS]`.
#![expect(clippy::print_stdout, reason = "a command line program")]

use nova_engine::{BenchCase, EngineError, EngineOptions, bench};

fn main() -> Result<(), EngineError> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_default();
    let threads = arguments.next().and_then(|threads| threads.parse().ok());
    let options = EngineOptions { threads: threads.or(Some(1)), ..EngineOptions::new(model) };
    let cases = [1, 4, 16].map(|sequences| BenchCase { sequences, prompt: 200, answer: 64 });
    println!("sequences  load s  prefill/cpu-s  decode/cpu-s  decode/s");
    for result in bench(&options, &cases)? {
        let (sequences, load, prefill) =
            (result.case.sequences, result.load_seconds, result.prefill_per_cpu_second);
        let (decode, clock) = (result.decode_per_cpu_second, result.decode_per_second);
        println!("{sequences:9}  {load:6.2}  {prefill:13.0}  {decode:12.0}  {clock:8.0}");
    }
    Ok(())
}
