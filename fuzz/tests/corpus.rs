//! Replays the committed corpus through every target.

use std::path::Path;

use scanout_fuzz::mutator::{Random, mutate};
use scanout_fuzz::{TARGETS, corpus_dir};

/// Inputs of a target with their file names, in a fixed order.
fn inputs(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<_> = std::fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn no_reader_panics_on_the_corpus_or_on_any_head_of_it() {
    for target in TARGETS {
        let inputs = inputs(&corpus_dir(target));
        assert!(
            inputs.len() >= 3,
            "{}: {} inputs",
            target.name,
            inputs.len()
        );
        for (name, bytes) in inputs {
            println!("{}/{name}", target.name);
            (target.run)(&bytes);
            // Every truncation of short inputs, some of long ones.
            let step = (bytes.len() / 256).max(1);
            for end in (0..bytes.len()).step_by(step) {
                (target.run)(&bytes[..end]);
            }
        }
    }
}

#[test]
fn no_reader_panics_on_a_few_thousand_mutations() {
    for target in TARGETS {
        let inputs = inputs(&corpus_dir(target));
        let mut random = Random::new(1);
        for _ in 0..3000 {
            let mut bytes = inputs[random.below(inputs.len())].1.clone();
            bytes.truncate(8 * 1024);
            mutate(
                &mut bytes,
                &inputs[random.below(inputs.len())].1,
                &mut random,
                8 * 1024,
            );
            (target.run)(&bytes);
        }
    }
}

#[test]
fn every_target_has_its_libfuzzer_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let path = format!("fuzz_targets/{}.rs", target.name);
        assert!(root.join(&path).exists(), "{path} is missing");
        assert!(manifest.contains(&path), "{path} is not in Cargo.toml");
    }
}
