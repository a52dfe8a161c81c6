//! Which element converts for which device.

use gstreamer::prelude::*;
use scanout_core::encoder::OpenError;

use crate::elements::Family;
use crate::pipeline::build_error;
use crate::property::{self, Literal};

/// Elements that turn dma-bufs into pictures.
#[derive(Clone, Debug)]
pub(crate) struct Converter {
    /// In the order in which they are linked.
    pub(crate) elements: Vec<String>,
    /// Which of them turns pictures over.
    pub(crate) flips: usize,
    /// Caps feature of dma-bufs; stand-ins map them like any other memory.
    pub(crate) source: Option<&'static str>,
    /// Caps feature of the pictures.
    pub(crate) memory: Option<&'static str>,
    /// Takes memfds in the place of dma-bufs, for tests.
    pub(crate) any_memory: bool,
}

impl Converter {
    /// The converter of a device, where the registry has one.
    pub(crate) fn of(family: Family, device: &str) -> Option<Self> {
        if family != Family::Va {
            return None;
        }
        let name = postproc(device)?;
        let factory = gstreamer::ElementFactory::find(&name)?;
        let dma_bufs = gstreamer::Caps::builder("video/x-raw")
            .features(["memory:DMABuf"])
            .build();
        factory.can_sink_any_caps(&dma_bufs).then(|| Self {
            elements: vec![name],
            flips: 0,
            source: Some("memory:DMABuf"),
            memory: Some("memory:VAMemory"),
            any_memory: false,
        })
    }

    pub(crate) fn name(&self) -> String {
        self.elements.join(" ! ")
    }

    pub(crate) fn make(&self) -> Result<Vec<gstreamer::Element>, OpenError> {
        self.elements
            .iter()
            .map(|name| {
                gstreamer::ElementFactory::make(name)
                    .build()
                    .map_err(|cause| build_error("making a converter", cause))
            })
            .collect()
    }
}

/// `vapostproc` of the first render node, `varenderD129postproc` of another.
fn postproc(device: &str) -> Option<String> {
    match device.split_once('-') {
        None => Some("vapostproc".to_owned()),
        Some(("va", node)) => Some(format!("va{node}postproc")),
        Some(_) => None,
    }
}

/// Has `element` turn pictures over, or not. False where it does not: vapostproc
/// takes the property whatever the driver can do, and puts it back afterwards.
pub(crate) fn flip(element: &gstreamer::Element, over: bool) -> bool {
    let nick = if over { "vert" } else { "identity" };
    if property::set(element, "video-direction", Literal::Nick(nick)).is_err() {
        return !over;
    }
    let value = element.property_value("video-direction");
    gstreamer::glib::EnumValue::from_value(&value).is_some_and(|(_, v)| v.nick() == nick)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_render_node_has_the_converter_of_its_own_name() {
        assert_eq!(postproc("va").as_deref(), Some("vapostproc"));
        assert_eq!(
            postproc("va-renderD129").as_deref(),
            Some("varenderD129postproc")
        );
        assert_eq!(postproc("nvcodec-device1"), None);
        gstreamer::init().unwrap();
        assert!(Converter::of(Family::Nvcodec, "nvcodec").is_none());
    }

    #[test]
    fn an_element_that_cannot_flip_is_noticed() {
        gstreamer::init().unwrap();
        let plain = gstreamer::ElementFactory::make("identity").build().unwrap();
        assert!(!flip(&plain, true));
        assert!(flip(&plain, false));
    }
}
