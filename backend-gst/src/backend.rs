//! What the registry has, as devices and encoders.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gstreamer::glib;
use gstreamer::prelude::*;
use scanout_core::convert::{Converter, PictureFormat};
use scanout_core::encoder::{
    Backend, BackendError, BackendName, Capabilities, Chroma, Device, DeviceKind, EncoderCaps,
    ImportFormat, OpenError, PathClass, RateMode, StageConfig, Stager,
};
use scanout_core::format::{self, Modifier};
use scanout_core::geometry::Size;

use crate::elements::{self, Element, Family, Live, Place};
use crate::gpu::{self, GpuStager};
use crate::offer::{self, Offer};
use crate::property::{self, Literal};
use crate::stager::CpuStager;

/// The device of elements that run on the CPU.
pub(crate) const CPU: &str = "cpu";

/// Longest side that we ask any element for: that of our own pictures.
const MAX_SIDE: u32 = scanout_core::convert::PictureLayout::MAX_SIDE;

/// The encoder elements of the installed GStreamer.
///
/// Which way pixels go to a hardware element is for
/// [`StageConfig::max_path`] to say. [`PathClass::GpuCopy`] converts dma-bufs on
/// the device, where it has a converter (va: `vapostproc`), and refuses every
/// other source with [`StageError::Path`](scanout_core::encoder::StageError::Path);
/// a dearer ceiling has the CPU convert and the element upload
/// ([`PathClass::CpuUpload`]), whatever the source; a cheaper one is
/// [`OpenError::Path`].
#[derive(Debug)]
pub struct GstBackend {
    niceness: i32,
}

/// What every hardware element says of itself: no machine of ours has one.
const NEVER_RUN: &str = "Never run on hardware by this project.";

/// An element of the registry that the table describes.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) row: &'static Element,
    pub(crate) name: String,
    factory: gstreamer::ElementFactory,
}

impl GstBackend {
    /// Starts GStreamer, which reads or builds its registry: up to some
    /// seconds the first time on a machine.
    pub fn new() -> Result<Self, BackendError> {
        gstreamer::init().map_err(|cause| BackendError::Unavailable {
            library: "GStreamer".to_owned(),
            cause: cause.into(),
        })?;
        Ok(Self { niceness: 0 })
    }

    /// Runs the threads of software encoders at this nice value (0 to 19), so
    /// that conversion, which holds sources, goes first on a busy machine.
    #[must_use]
    pub fn with_niceness(mut self, niceness: u8) -> Self {
        self.niceness = niceness.min(19).into();
        self
    }

    /// The version of the GStreamer that runs.
    pub fn version(&self) -> (u32, u32, u32) {
        let (major, minor, micro, _) = gstreamer::version();
        (major, minor, micro)
    }
}

/// Every described element that the registry has, by device.
pub(crate) fn found() -> BTreeMap<String, Vec<Found>> {
    let factories = gstreamer::ElementFactory::factories_with_type(
        gstreamer::ElementFactoryType::VIDEO_ENCODER,
        gstreamer::Rank::NONE,
    );
    let mut devices = BTreeMap::<String, Vec<Found>>::new();
    for factory in factories {
        let name = factory.name().to_string();
        if let Some(row) = elements::find(&name) {
            devices
                .entry(device_id(row, &name))
                .or_default()
                .push(Found { row, name, factory });
        }
    }
    for elements in devices.values_mut() {
        elements.sort_by_key(|e| (e.row.codec, std::cmp::Reverse(e.row.rank)));
    }
    devices
}

fn device_id(row: &Element, name: &str) -> String {
    match (row.family, elements::generic_name(name)) {
        (Family::Software, _) => CPU.to_owned(),
        (family, Some((_, device))) => format!("{family}-{device}"),
        (family, None) => family.name().to_owned(),
    }
}

fn describe_device(id: &str, elements: &[Found]) -> Device {
    let Some(first) = elements.first() else {
        return Device::new(id, id, DeviceKind::Cpu);
    };
    if first.row.family == Family::Software {
        return Device::new(CPU, "software encoders", DeviceKind::Cpu);
    }
    let kind = match first.row.family {
        Family::V4l2 => DeviceKind::Codec,
        _ => DeviceKind::Gpu,
    };
    let device = Device::new(id, format!("{} encoders", first.row.family), kind);
    match node(first) {
        Some(node) => device.with_node(node),
        None => device,
    }
}

/// The node behind an element, as it says itself.
fn node(found: &Found) -> Option<PathBuf> {
    // Making the element asks nothing of the hardware yet.
    let element = found.factory.create().build().ok()?;
    ["device-path", "device"].into_iter().find_map(|property| {
        let spec = element.find_property(property)?;
        (spec.value_type() == glib::Type::STRING
            && spec.flags().contains(glib::ParamFlags::READABLE))
        .then(|| element.property::<Option<String>>(property))
        .flatten()
        .map(PathBuf::from)
    })
}

/// Smallest and largest picture of a pad template's caps.
pub(crate) fn size_range(caps: &gstreamer::CapsRef) -> (Size, Size) {
    let (mut min, mut max) = (Size::new(MAX_SIDE, MAX_SIDE), Size::new(1, 1));
    for structure in caps.iter() {
        let side = |name: &str| {
            let clip = |side: i32| u32::try_from(side).unwrap_or(1).clamp(1, MAX_SIDE);
            if let Ok(range) = structure.get::<gstreamer::IntRange<i32>>(name) {
                (clip(range.min()), clip(range.max()))
            } else if let Ok(side) = structure.get::<i32>(name) {
                (clip(side), clip(side))
            } else {
                (1, MAX_SIDE)
            }
        };
        let (width, height) = (side("width"), side("height"));
        min = Size::new(min.width.min(width.0), min.height.min(height.0));
        max = Size::new(max.width.max(width.1), max.height.max(height.1));
    }
    (min, max)
}

impl Found {
    /// What it says about itself, and what of its row it lacks.
    fn caps(&self) -> EncoderCaps {
        let row = self.row;
        let mut notes: Vec<String> = row.notes.iter().map(|&n| n.to_owned()).collect();
        notes.extend(
            row.withholds
                .map(|reason| format!("It cannot be used here: {reason}.")),
        );
        notes.extend(self.missing());
        if row.family != Family::Software {
            notes.push(NEVER_RUN.to_owned());
        }
        let mut rates = Vec::new();
        let modes = [
            (RateMode::ConstantQp, row.constant_qp),
            (RateMode::Constant, row.constant),
            (RateMode::Variable, row.variable),
        ];
        for (mode, settings) in modes {
            if !settings.is_empty() {
                rates.push(mode);
            }
        }
        let sink = self
            .factory
            .static_pad_templates()
            .into_iter()
            .find(|t| t.direction() == gstreamer::PadDirection::Sink)
            .map(|t| t.caps());
        let (min_size, max_size) = sink.map_or_else(
            || (Size::new(1, 1), Size::new(MAX_SIDE, MAX_SIDE)),
            |caps| size_range(&caps),
        );
        let mut caps = EncoderCaps::new(self.name.clone(), row.codec);
        caps.chroma = row.chroma.to_vec();
        caps.min_size = min_size;
        caps.max_size = max_size;
        caps.rates = rates;
        caps.live_bitrate = row.live_bitrate == Live::InPlace;
        caps.qp_bounds = !row.qp_bounds.is_empty();
        caps.path = path(row.family);
        caps.rank = row.rank;
        caps.notes = notes;
        caps
    }

    /// Properties and values of the row that the installed element has not.
    fn missing(&self) -> Vec<String> {
        missing(self.row, &self.name).unwrap_or_else(|reason| vec![reason])
    }
}

/// Compares a row with the class of the installed element `name`.
pub(crate) fn missing(row: &Element, name: &str) -> Result<Vec<String>, String> {
    let factory = gstreamer::ElementFactory::find(name)
        .and_then(|f| f.load().ok())
        .ok_or_else(|| format!("{name} does not load"))?;
    let class = glib::object::ObjectClass::from_type(factory.element_type())
        .ok_or_else(|| format!("{name} has no class"))?;
    let mut missing = Vec::new();
    for setting in row.settings() {
        let (property, literal) = match (setting.place, setting.value) {
            (Place::Property(property), value) => (property, sample(value)),
            (Place::Key(_), _) => (row.options.unwrap_or_default(), Literal::Text("")),
            (Place::Control(_), _) => continue,
        };
        match property::value_for(&class, name, property, literal) {
            // A number out of range is a matter of the configuration.
            Ok(_) | Err(property::PropertyError::Range { .. }) => {}
            Err(error) => {
                let sentence = format!("{error}.");
                if !missing.contains(&sentence) {
                    missing.push(sentence);
                }
            }
        }
    }
    Ok(missing)
}

/// A literal of the type that `value` turns into.
fn sample(value: elements::Value) -> Literal<'static> {
    match value {
        elements::Value::Bool(value) => Literal::Bool(value),
        elements::Value::Nick(nick) => Literal::Nick(nick),
        elements::Value::Text(text) => Literal::Text(text),
        elements::Value::Int(value) => Literal::Int(value),
        _ => Literal::Int(1),
    }
}

/// How pictures reach the elements of `family`.
pub(crate) const fn path(family: Family) -> PathClass {
    match family {
        Family::Software => PathClass::Software,
        _ => PathClass::CpuUpload,
    }
}

impl Backend for GstBackend {
    fn name(&self) -> BackendName {
        BackendName("gst")
    }

    fn devices(&self) -> Result<Vec<Device>, BackendError> {
        let mut devices: Vec<Device> = found()
            .iter()
            .map(|(id, elements)| describe_device(id, elements))
            .collect();
        // Hardware first: it is what callers look for.
        devices.sort_by_key(|d| d.kind == DeviceKind::Cpu);
        Ok(devices)
    }

    fn capabilities(&self, device: &Device) -> Result<Capabilities, BackendError> {
        let found = found();
        let elements = found
            .get(&device.id)
            .ok_or_else(|| BackendError::NoDevice {
                backend: "gst",
                id: device.id.clone(),
            })?;
        let mut capabilities = Capabilities::default();
        capabilities.encoders = elements.iter().map(Found::caps).collect();
        let family = elements.first().map_or(Family::Software, |e| e.row.family);
        let format = offer::picture_format(family, Chroma::C420);
        capabilities.imports = imports(format, path(family));
        if let Some(converter) = gpu::Converter::of(family, &device.id) {
            for caps in &mut capabilities.encoders {
                caps.path = PathClass::GpuCopy;
                caps.notes.push(format!(
                    "Dma-bufs go through {} where at most gpu-copy is allowed, else the CPU converts.",
                    converter.name()
                ));
            }
            let on_device = imports(format, PathClass::GpuCopy);
            capabilities.imports.splice(0..0, on_device);
        }
        Ok(capabilities)
    }

    fn open(&self, device: &Device, config: &StageConfig) -> Result<Box<dyn Stager>, OpenError> {
        let offer = Offer::of(&device.id).ok_or_else(|| OpenError::Unsupported {
            encoder: format!("gst {}", device.id),
            what: "staging",
            detail: "the registry has no encoder element of such a device".to_owned(),
        })?;
        // With dearer ways allowed the CPU converts: it takes memory and memfds
        // as well, which no driver imports.
        if config.max_path == PathClass::GpuCopy
            && let Some(converter) = gpu::Converter::of(offer.family, &offer.device)
        {
            let stager = GpuStager::new(config, offer, &converter, self.niceness)?;
            return Ok(Box::new(stager));
        }
        Ok(Box::new(CpuStager::new(config, offer, self.niceness)?))
    }
}

/// Sources that the CPU converts: linear ones of whatever the converter takes.
fn imports(to: PictureFormat, path: PathClass) -> Vec<ImportFormat> {
    format::all()
        .filter(|info| Converter::supports(info.fourcc, to))
        .map(|info| {
            let planes = u8::try_from(info.planes.len()).unwrap_or(u8::MAX);
            ImportFormat::new(info.fourcc, Modifier::LINEAR, planes, path)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_and_nick_of_an_installed_element_exists_with_its_type() {
        gstreamer::init().unwrap();
        let mut checked = 0;
        for row in elements::table() {
            if gstreamer::ElementFactory::find(row.name).is_none() {
                eprintln!(
                    "SKIPPED: {} is not installed, its row is untested",
                    row.name
                );
                continue;
            }
            assert_eq!(missing(row, row.name).unwrap(), Vec::<String>::new());
            checked += 1;
        }
        eprintln!("{checked} rows checked");
        assert!(checked > 0, "no encoder element is installed");
    }

    #[test]
    fn a_row_that_does_not_fit_the_installed_element_is_noticed() {
        gstreamer::init().unwrap();
        let Some(row) = elements::find("vp8enc") else {
            panic!("no row for vp8enc");
        };
        if gstreamer::ElementFactory::find("identity").is_some() {
            let missing = missing(row, "identity").unwrap();
            assert!(
                missing.iter().any(|m| m.contains("deadline")),
                "{missing:?}"
            );
        }
        assert!(missing(row, "no-such-element").is_err());
    }
}
