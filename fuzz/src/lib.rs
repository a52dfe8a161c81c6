//! The bodies of Scanout's fuzz targets, as plain functions on bytes.
//!
//! Each feeds one reader or validator with what a hostile producer, file or
//! peer could send, and asserts what must hold of every accepted value. The
//! same bodies serve three callers: libFuzzer through `fuzz_targets/`, the
//! `mutate` program where there is only a stable toolchain, and the replay of
//! the corpus among the tests.
#![forbid(unsafe_code)]

mod headers;
mod layout;
pub mod mutator;
mod readers;
mod recording;
mod spice;
mod take;

use std::path::PathBuf;

/// One fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name: the folder of its corpus and the file in `fuzz_targets/`.
    pub name: &'static str,
    /// Its body; a panic is a finding.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "layout",
        run: layout::run,
    },
    Target {
        name: "annexb",
        run: headers::annexb,
    },
    Target {
        name: "h264_headers",
        run: headers::h264,
    },
    Target {
        name: "other_headers",
        run: headers::others,
    },
    Target {
        name: "y4m",
        run: readers::y4m,
    },
    Target {
        name: "raw_layout",
        run: readers::raw_layout,
    },
    Target {
        name: "damage_log",
        run: readers::damage_log,
    },
    Target {
        name: "png",
        run: readers::png,
    },
    Target {
        name: "recording",
        run: recording::run,
    },
    Target {
        name: "spice_link",
        run: spice::link,
    },
    Target {
        name: "spice_messages",
        run: spice::messages,
    },
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// Where the corpus of `target` lies.
pub fn corpus_dir(target: &Target) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", target.name]
        .iter()
        .collect()
}
