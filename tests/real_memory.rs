//! Frames in every kind of memory that the machine has: what is encoded from the
//! kernel's dma-bufs is what is encoded from memory of the process, to the byte.

mod support;

use std::path::Path;

use scanout_core::buffer::alloc::Provider;
use scanout_rig::machine;
use support::{Ran, directory, have_encoder, run};

/// Neither side a multiple of a tile, nor a row of a cache line.
const SIZE: &str = "322x182";

fn encode(memory: &str, out: &Path) -> Ran {
    let out = out.to_str().unwrap();
    // The choice of an encoder goes by measured times, and threads cut pictures
    // into slices.
    let fixed = ["--encoder", "x264enc", "--threads", "1", "--frames", "30"];
    let args = ["encode", "--json", "--size", SIZE, "--memory", memory];
    run([&args[..], &fixed, &["--output", out]].concat())
}

/// Says where each memory's file differs from that of the process's memory.
fn assert_same(memories: &[String]) {
    let dir = directory("real-memory");
    let plain = dir.join("plain.h264");
    encode("memory", &plain).ok();
    let plain = std::fs::read(plain).unwrap();
    for (index, memory) in memories.iter().enumerate() {
        let file = dir.join(format!("{index}.h264"));
        let ran = encode(memory, &file).ok();
        assert!(std::fs::read(file).unwrap() == plain, "{memory}: {ran:?}");
        println!("{memory}: the same {} bytes", plain.len());
    }
}

#[test]
fn frames_in_dma_bufs_of_every_provider_are_the_frames() {
    let memories: Vec<String> = machine::dma_buf_providers()
        .iter()
        .map(Provider::to_string)
        .collect();
    let some = (!memories.is_empty()).then_some(memories);
    let Some(memories) = machine::or_skip("provider of dma-bufs", some) else {
        return;
    };
    if have_encoder("h264") {
        assert_same(&memories);
    }
}

/// Nodes behind which Mesa finds no GPU and draws on the CPU.
fn nodes_without_a_gpu(prefix: &str) -> Option<Vec<machine::Node>> {
    let mut nodes = machine::nodes(prefix);
    nodes.retain(|node| ["vgem", "vkms"].contains(&node.driver.as_str()));
    let what = format!("{prefix} node of vgem or vkms");
    machine::or_skip(&what, (!nodes.is_empty()).then_some(nodes))
}

#[test]
fn frames_drawn_through_the_real_gbm_are_the_frames() {
    let Some(nodes) = nodes_without_a_gpu("card") else {
        return;
    };
    let memories = nodes
        .iter()
        .map(|node| format!("gbm:{}:LINEAR", node.path.display()));
    if have_encoder("h264") {
        assert_same(&memories.collect::<Vec<_>>());
    }
}

#[test]
fn a_render_node_that_makes_no_buffers_is_told_with_the_node_that_does() {
    let Some(nodes) = nodes_without_a_gpu("renderD") else {
        return;
    };
    let out = directory("render-node").join("x.h264");
    for node in nodes {
        let path = node.path.display();
        for (memory, call) in [
            (format!("gbm:{path}"), "gbm_bo_create"),
            (format!("gbm:{path}:LINEAR"), "gbm_bo_create"),
            (format!("dumb:{path}"), "DRM_IOCTL_MODE_CREATE_DUMB"),
        ] {
            let ran = encode(&memory, &out);
            assert_eq!(ran.code, Some(3), "{ran:?}");
            let said = ran.errors().join("\n");
            for word in [call, "Permission denied", "/dev/dri/card"] {
                assert!(said.contains(word), "{word}: {said}");
            }
            assert!(!said.contains("user"), "root may: {said}");
        }
    }
}
