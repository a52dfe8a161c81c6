//! The encoder elements of one device, and the choice among them.

use scanout_core::convert::PictureFormat;
use scanout_core::encoder::{Chroma, Codec, OpenError};

use crate::backend;
use crate::elements::{self, Element, Family};

/// What a device has to code with.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// As in `Device::id`.
    pub(crate) device: String,
    pub(crate) family: Family,
    /// Rows with the names of the installed elements, best first within a codec.
    pub(crate) elements: Vec<(&'static Element, String)>,
}

impl Offer {
    /// The registry's elements of `device`; `None` where it has none. The CPU
    /// has an offer in any case, so that what is missing can be named.
    pub(crate) fn of(device: &str) -> Option<Self> {
        let elements: Vec<_> = backend::found()
            .remove(device)
            .unwrap_or_default()
            .into_iter()
            .map(|found| (found.row, found.name))
            .collect();
        let family = match elements.first() {
            Some((row, _)) => row.family,
            None if device == backend::CPU => Family::Software,
            None => return None,
        };
        Some(Self {
            device: device.to_owned(),
            family,
            elements,
        })
    }

    /// True where any element takes pictures of `chroma`.
    pub(crate) fn takes(&self, chroma: Chroma) -> bool {
        self.family == Family::Software
            || self
                .elements
                .iter()
                .any(|(e, _)| e.chroma.contains(&chroma))
    }

    /// The element that codes `codec` best, or the one named `wanted`.
    pub(crate) fn choose(
        &self,
        codec: Codec,
        wanted: Option<&str>,
        chroma: Chroma,
    ) -> Result<(&'static Element, String), OpenError> {
        if let Some(name) = wanted {
            return self.named(name, codec);
        }
        if let Some((row, name)) = self
            .elements
            .iter()
            .filter(|(e, _)| e.codec == codec && e.chroma.contains(&chroma))
            .filter(|(e, _)| e.withholds.is_none())
            .max_by_key(|(e, _)| e.rank)
        {
            return Ok((row, name.clone()));
        }
        let missing = elements::table()
            .filter(|e| e.family == self.family && e.codec == codec && e.chroma.contains(&chroma))
            .filter(|e| e.withholds.is_none())
            .max_by_key(|e| e.rank);
        let hint = match missing {
            Some(row) if self.family == Family::Software => {
                format!(": {} is missing, {}", row.name, install_hint(row))
            }
            Some(row) => format!(": device {} offers no {}", self.device, row.name),
            None => String::new(),
        };
        Err(OpenError::NoEncoder { codec, hint })
    }

    fn named(&self, name: &str, codec: Codec) -> Result<(&'static Element, String), OpenError> {
        let no_such = |reason: String| OpenError::NoSuchEncoder {
            name: name.to_owned(),
            reason,
        };
        if let Some((row, name)) = self.elements.iter().find(|(_, own)| own == name) {
            if row.codec != codec {
                return Err(no_such(format!("it codes {}, not {codec}", row.codec)));
            }
            if let Some(reason) = row.withholds {
                return Err(OpenError::Unsupported {
                    encoder: name.clone(),
                    what: "one picture in, one packet out",
                    detail: reason.to_owned(),
                });
            }
            return Ok((row, name.clone()));
        }
        let row = elements::find(name)
            .ok_or_else(|| no_such("it is not in the table of known elements".to_owned()))?;
        if row.family == self.family && gstreamer::ElementFactory::find(name).is_none() {
            return Err(no_such(install_hint(row)));
        }
        let own = match self.family {
            Family::Software => "elements on the CPU".to_owned(),
            _ => format!("those of device {}", self.device),
        };
        Err(no_such(format!(
            "it is a {} element, and this stager's pictures are for {own}",
            row.family
        )))
    }
}

fn install_hint(row: &Element) -> String {
    match row.family {
        Family::Software => format!("install the package {} (Debian, Ubuntu)", row.package),
        family => format!(
            "it registers where the package {} (Debian, Ubuntu) finds {family} hardware",
            row.package
        ),
    }
}

/// The layout of pictures in host memory that all elements of a family take.
pub(crate) const fn picture_format(family: Family, chroma: Chroma) -> PictureFormat {
    match (family, chroma) {
        (_, Chroma::C444) => PictureFormat::I444,
        // x264enc takes NV12 as well, the others do not: one staging serves all.
        (Family::Software, _) => PictureFormat::I420,
        // What every driver's encoder reads.
        _ => PictureFormat::Nv12,
    }
}
