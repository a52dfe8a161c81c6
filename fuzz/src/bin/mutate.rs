//! `mutate SECONDS [TARGET...]`: runs targets on mutations of their corpus.
//!
//! Blind where libFuzzer is guided by coverage, but any stable toolchain runs
//! it. An input that makes a target panic is kept in `artifacts/TARGET/`, and
//! the exit code is 1.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

use scanout_fuzz::mutator::{Random, mutate};
use scanout_fuzz::{TARGETS, Target, corpus_dir, target};

/// Longest input that mutation makes: parameter sets and small pictures fit.
const MAX_LEN: usize = 16 * 1024;
/// An input that takes longer is a finding, as is one that panics.
const SLOW: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Some(seconds) = arguments.next().and_then(|s| s.parse().ok()) else {
        eprintln!("usage: mutate SECONDS [TARGET...]");
        return ExitCode::from(2);
    };
    let names: Vec<_> = arguments.collect();
    let mut chosen = Vec::new();
    for name in &names {
        let Some(target) = target(name) else {
            eprintln!("mutate: no target {name:?}");
            return ExitCode::from(2);
        };
        chosen.push(target);
    }
    if chosen.is_empty() {
        chosen.extend_from_slice(TARGETS);
    }
    let mut code = ExitCode::SUCCESS;
    for target in chosen {
        match run(&target, Duration::from_secs(seconds)) {
            Ok(None) => {}
            Ok(Some(path)) => {
                eprintln!("{}: FAILED, input kept in {}", target.name, path.display());
                code = ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("{}: {error}", target.name);
                return ExitCode::from(2);
            }
        }
    }
    code
}

/// Runs `target` for `limit`; the path of the input that it failed on.
fn run(target: &Target, limit: Duration) -> io::Result<Option<PathBuf>> {
    let mut seeds = vec![Vec::new()];
    for entry in fs::read_dir(corpus_dir(target))? {
        seeds.push(fs::read(entry?.path())?);
    }
    // Another run tries other mutations; the seed makes this one repeatable.
    let seed = match env::var("SEED").ok().and_then(|s| s.parse().ok()) {
        Some(seed) => seed,
        None => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |d| d.as_nanos() as u64),
    };
    let mut random = Random::new(seed);
    let (start, mut runs) = (Instant::now(), 0u64);
    let mut slowest = Duration::ZERO;
    while start.elapsed() < limit {
        let mut input = seeds[random.below(seeds.len())].clone();
        let other = &seeds[random.below(seeds.len())];
        mutate(&mut input, other, &mut random, MAX_LEN);
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        slowest = slowest.max(began.elapsed());
        runs += 1;
        if outcome.is_err() || slowest > SLOW {
            return keep(target, &input, seed, runs).map(Some);
        }
    }
    println!(
        "{}: {runs} inputs from {} seeds in {:.0} s, slowest {slowest:.1?}, SEED={seed}: ok",
        target.name,
        seeds.len() - 1,
        start.elapsed().as_secs_f64()
    );
    Ok(None)
}

fn keep(target: &Target, input: &[u8], seed: u64, runs: u64) -> io::Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("artifacts")
        .join(target.name);
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("crash-{seed:016x}-{runs}"));
    fs::write(&path, input)?;
    Ok(path)
}
