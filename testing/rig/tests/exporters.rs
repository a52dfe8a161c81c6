//! Whose memory is known to be linear, so that a scanout without a modifier can be
//! read: by the exporter's name, which the kernel tells and nobody else.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{
    CpuReader, DmaBuf, ImplicitModifier, ImportError, ImportPolicy, Layout, LayoutError,
};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::Size;
use scanout_rig::drawing::{self, Arrangement, Scanout};
use scanout_rig::{machine, udmabuf};

const SIZE: Size = Size::new(32, 32);
const LIMIT: Duration = Duration::from_secs(5);

/// A picture whose producer does not say how it is laid out, as QEMU sends it.
fn unnamed(provider: &Provider) -> (Scanout, Layout) {
    let arrangement = Arrangement::all(Fourcc::XRGB8888, SIZE).remove(1);
    let scanout = arrangement.allocate(provider, 1).unwrap();
    let layout = Layout {
        modifier: Modifier::INVALID,
        ..scanout.layout().clone()
    };
    (scanout, layout)
}

fn policy(implicit: ImplicitModifier) -> ImportPolicy {
    ImportPolicy::default().with_implicit_modifier(implicit)
}

/// Every `exp_name` line of the descriptor.
fn names(fd: impl AsFd) -> Vec<String> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
    let info = std::fs::read_to_string(path).unwrap();
    info.lines()
        .filter_map(|line| line.strip_prefix("exp_name:"))
        .map(|name| name.trim().to_owned())
        .collect()
}

/// The name that the kernel has for it, and whether it stands for linear memory.
fn known(provider: &Provider) -> (&'static str, bool) {
    match provider {
        Provider::Udmabuf => ("udmabuf", true),
        Provider::DmaHeap(heap) if heap == "system" => ("system", true),
        // Whatever the driver: DRM's helpers export under their own name.
        Provider::Dumb(_) => ("drm", false),
        other => panic!("what is {other}?"),
    }
}

/// Drivers with an export of their own (i915, amdgpu, ...) have a name of their own.
fn has_own_name(provider: &Provider, name: &str) -> bool {
    matches!(provider, Provider::Dumb(_)) && !machine::in_rig() && name != "drm"
}

#[test]
fn without_a_modifier_only_memory_of_linear_exporters_is_taken() {
    let policy = policy(ImplicitModifier::LinearIfExporterKnown);
    for provider in machine::providers() {
        let (name, linear) = known(&provider);
        let (scanout, layout) = unnamed(&provider);
        let fds = scanout.fds();
        let seen = names(fds[0]);
        if !has_own_name(&provider, &seen[0]) {
            assert_eq!(seen, [name], "{provider}");
        }
        match DmaBuf::import(&fds, &layout, &policy) {
            Ok(buffer) => {
                assert!(linear, "{provider}: taken for linear");
                assert_eq!(buffer.layout().modifier, Modifier::LINEAR, "{provider}");
            }
            Err(ImportError::ImplicitModifier { exporter }) => {
                assert!(!linear, "{provider}: refused");
                assert_eq!(exporter, seen[0], "{provider}");
            }
            Err(other) => panic!("{provider}: {other}"),
        }
    }
}

#[test]
fn on_the_callers_word_any_exporters_memory_is_linear() {
    for provider in machine::providers() {
        let (scanout, layout) = unnamed(&provider);
        let policy = policy(ImplicitModifier::AssumeLinear);
        let buffer = DmaBuf::import(&scanout.fds(), &layout, &policy).unwrap();
        // One buffer, whether its modifier was named or not.
        assert_eq!(buffer.key(), scanout.import().unwrap().key(), "{provider}");
        let source = buffer.into();
        let mut reader = CpuReader::default();
        let read = reader.read(&source, LIMIT).unwrap();
        let difference = drawing::difference(read.planes(), Fourcc::XRGB8888, SIZE, 1);
        assert_eq!(difference, None, "{provider}");
    }
}

#[test]
fn where_a_modifier_is_demanded_no_exporter_is_excused() {
    for provider in machine::providers() {
        let (scanout, layout) = unnamed(&provider);
        let policy = policy(ImplicitModifier::Refuse);
        let error = DmaBuf::import(&scanout.fds(), &layout, &policy).unwrap_err();
        assert!(
            matches!(error, ImportError::Layout(LayoutError::ModifierUnknown)),
            "{provider}: {error}"
        );
    }
}

/// Any holder of a dma-buf can name it, line breaks and all.
#[test]
fn a_name_given_to_a_buffer_does_not_make_its_exporter_known() {
    for provider in machine::providers() {
        let (_, linear) = known(&provider);
        let (scanout, layout) = unnamed(&provider);
        let fds = scanout.fds();
        udmabuf::set_name(fds[0], c"x\nexp_name:\tudmabuf").unwrap();
        let seen = names(fds[0]);
        assert_eq!(
            seen.last().map(String::as_str),
            Some("udmabuf"),
            "{provider}"
        );
        assert_eq!(seen.len(), 2, "{provider}: the forgery shows");
        let policy = policy(ImplicitModifier::LinearIfExporterKnown);
        let imported = DmaBuf::import(&fds, &layout, &policy);
        assert_eq!(imported.is_ok(), linear, "{provider}");
        // Nor does a name take away what is known.
        udmabuf::set_name(fds[0], c"x\nexp_name:\ti915").unwrap();
        let imported = DmaBuf::import(&fds, &layout, &policy);
        assert_eq!(imported.is_ok(), linear, "{provider}");
    }
}

/// A picture is as linear as the least known of its objects.
#[test]
fn every_object_of_a_picture_must_be_of_a_known_exporter() {
    let providers = machine::providers();
    let of_kind = |linear| {
        let mut all = providers.iter();
        machine::or_skip("provider of each kind", all.find(|p| known(p).1 == linear))
    };
    let (Some(linear), Some(other)) = (of_kind(true), of_kind(false)) else {
        return;
    };
    let arrangement = Arrangement::all(Fourcc::NV12, SIZE).remove(2);
    let layout = Layout {
        modifier: Modifier::INVALID,
        ..arrangement.layout.clone()
    };
    let policy = policy(ImplicitModifier::LinearIfExporterKnown);
    let allocate = |provider: &Provider, object: usize| {
        provider.allocate(arrangement.objects[object]).unwrap()
    };
    for (first, second) in [(linear, other), (other, linear), (linear, linear)] {
        let (first_memory, second_memory) = (allocate(first, 0), allocate(second, 1));
        let fds = [first_memory.as_fd(), second_memory.as_fd()];
        let taken = DmaBuf::import(&fds, &layout, &policy);
        assert_eq!(taken.is_ok(), first == second, "{first}, {second}");
    }
}
