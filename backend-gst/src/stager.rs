//! Pictures in host memory, for elements on the CPU and for those that upload.

use std::os::fd::BorrowedFd;

use scanout_core::buffer::BufferKey;
use scanout_core::encoder::{
    Encoder, EncoderConfig, Frame, OpenError, StageConfig, StageError, StageEvent, Stager, Ticket,
};
use scanout_core::staging::CpuStaging;

use crate::backend;
use crate::encoder::{GstEncoder, Input, Memory};
use crate::offer::{self, Offer};
use crate::pipeline::Around;

/// Converts on the CPU; feeds any number of elements of one device.
///
/// Hardware elements copy the pictures to their device themselves, or an upload
/// element in front of them does: their way is `CpuUpload`.
#[derive(Debug)]
pub(crate) struct CpuStager {
    staging: CpuStaging,
    config: StageConfig,
    offer: Offer,
    around: Around,
}

impl CpuStager {
    pub(crate) fn new(
        config: &StageConfig,
        offer: Offer,
        niceness: i32,
    ) -> Result<Self, OpenError> {
        if !offer.takes(config.chroma) {
            return Err(OpenError::Unsupported {
                encoder: format!("gst {}", offer.device),
                what: "that chroma format",
                detail: config.chroma.to_string(),
            });
        }
        let format = offer::picture_format(offer.family, config.chroma);
        Ok(Self {
            staging: CpuStaging::new(config, format, backend::path(offer.family))?,
            config: config.clone(),
            offer,
            around: Around {
                niceness,
                ..Around::default()
            },
        })
    }
}

impl Stager for CpuStager {
    fn room(&self) -> usize {
        self.staging.room()
    }

    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        self.staging.stage(frame)
    }

    fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        self.staging.poll()
    }

    fn retire(&mut self, buffer: &BufferKey) {
        self.staging.retire(buffer);
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
        let chroma = self.config.chroma;
        let (row, name) = self
            .offer
            .choose(config.codec, config.encoder.as_deref(), chroma)?;
        let input = Input {
            layout: *self.staging.layout(),
            color: self.config.color,
            chroma,
            memory: Memory::Host,
            around: self.around.clone(),
        };
        Ok(Box::new(GstEncoder::open(row, &name, config, input)?))
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.staging.wake()
    }
}

#[cfg(test)]
mod tests {
    use scanout_core::encoder::{
        Chroma, Codec, HostSurface, PathClass, PictureRequest, RateControl,
    };
    use scanout_core::geometry::Size;

    use super::*;
    use crate::stand_in;
    use crate::support;

    const SIZE: Size = Size::new(160, 96);

    fn constant_qp() -> EncoderConfig {
        let mut config = EncoderConfig::new(Codec::H264);
        config.rate = RateControl::ConstantQp { qp: 20 };
        config
    }

    #[test]
    fn a_hardware_row_codes_what_the_cpu_staged_for_upload() {
        if !stand_in::installed(&["x264enc"]) {
            return;
        }
        let config = StageConfig::new(SIZE);
        let mut stager = CpuStager::new(&config, stand_in::offer(), 0).unwrap();
        let mut encoder = stager.encoder(&constant_qp()).unwrap();
        let mut packets = Vec::new();
        let mut staged = Vec::new();
        for number in 0..6 {
            let picture = support::stage(&mut stager, support::frame(number, SIZE));
            assert_eq!(picture.info().path, PathClass::CpuUpload);
            let surface = picture.surface::<HostSurface>().unwrap();
            for (plane, rows) in surface.layout().planes().iter().zip([96, 48]) {
                for row in 0..rows {
                    let start = plane.offset + row * plane.stride;
                    staged.extend_from_slice(&surface.bytes()[start..start + 160]);
                }
            }
            let request = if number == 3 {
                PictureRequest::keyframe()
            } else {
                PictureRequest::plain()
            };
            let packet = support::encode(&mut *encoder, &picture, &request).unwrap();
            assert_eq!(packet.keyframe, number == 0 || number == 3, "{number}");
            packets.push(packet);
        }
        // By the end of the stream: no hardware element is trusted to hold
        // nothing back.
        support::drain(&mut *encoder);
        let folder = support::Folder::new("upload");
        let file = folder.path("a.h264");
        support::write_stream(&file, Codec::H264, SIZE, &packets);
        let decoded = support::ffmpeg_decode(&file, "nv12");
        let psnr = support::psnr(&staged, &decoded);
        assert!(psnr > 36.0, "{psnr} dB");
    }

    #[test]
    fn an_upload_is_refused_where_only_cheaper_ways_are_allowed() {
        let mut config = StageConfig::new(SIZE);
        config.max_path = PathClass::GpuCopy;
        let error = CpuStager::new(&config, stand_in::offer(), 0).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::Path {
                    path: PathClass::CpuUpload,
                    ceiling: PathClass::GpuCopy
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_device_without_a_444_encoder_says_so_before_anything_is_staged() {
        let mut config = StageConfig::new(SIZE);
        config.chroma = Chroma::C444;
        let error = CpuStager::new(&config, stand_in::offer(), 0).unwrap_err();
        assert!(error.to_string().contains("va-stand-in"), "{error}");
    }

    #[test]
    fn an_encoder_of_another_device_or_codec_is_refused_by_name() {
        if !stand_in::installed(&["x264enc", "vp8enc"]) {
            return;
        }
        let stager = CpuStager::new(&StageConfig::new(SIZE), stand_in::offer(), 0).unwrap();
        let refused = |codec, name: Option<&str>| {
            let mut config = EncoderConfig::new(codec);
            config.encoder = name.map(str::to_owned);
            stager.encoder(&config).err().map(|e| e.to_string())
        };
        let said = refused(Codec::Vp8, Some("vp8enc")).unwrap();
        assert!(said.contains("for those of device va-stand-in"), "{said}");
        let said = refused(Codec::Vp8, Some("x264enc")).unwrap();
        assert!(said.contains("it codes"), "{said}");
        let said = refused(Codec::H265, None).unwrap();
        assert!(said.contains("va-stand-in offers no vah265lpenc"), "{said}");
    }
}
