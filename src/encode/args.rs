//! What `scanout encode` can be told.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use scanout_core::color::{ColorSpec, Matrix, Primaries, Range, Transfer};
use scanout_core::encoder::{
    Bitrate, Chroma, Codec, Effort, EncoderConfig, FrameRate, Keyframes, PathClass, QpBounds,
    RateControl, StageConfig,
};
use scanout_core::geometry::Size;

use crate::cli::values;
use crate::failure::Failure;
use crate::memory::Memory;
use crate::source::{Declared, SourceArgs};

#[derive(Clone, Debug, Args)]
pub(crate) struct EncodeArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// File to write: .h264, .h265, .obu, .ivf (vp8, vp9, av1), .mp4 or .mkv,
    /// or - for standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Codec: h264, h265, vp8, vp9 or av1 [default: by the file's extension]
    #[arg(long)]
    pub(crate) codec: Option<Codec>,
    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
    #[command(flatten)]
    pub(crate) rate: RateArgs,
    #[command(flatten)]
    pub(crate) picture: PictureArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Which encoder.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Choice of the encoder")]
pub(crate) struct ChoiceArgs {
    /// Use this backend only
    #[arg(long, value_name = "NAME")]
    pub(crate) backend: Option<String>,
    /// Use this encoder only, by the name that `scanout probe` shows
    #[arg(long, value_name = "NAME")]
    pub(crate) encoder: Option<String>,
    /// The dearest way that pixels may take to the encoder: zero-copy,
    /// gpu-copy, cpu-upload, readback or software
    #[arg(long, value_name = "CLASS")]
    pub(crate) require_path: Option<PathClass>,
}

/// What the encoder holds constant.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rate and quality")]
pub(crate) struct RateArgs {
    /// Bits per second, for example 8M or 2500k
    #[arg(long, value_name = "RATE", default_value = "8M")]
    pub(crate) bitrate: Bitrate,
    /// One quantiser for all pictures instead of a bit rate
    #[arg(long, value_name = "QP", value_parser = values::quantiser, conflicts_with_all = ["qp_min", "qp_max"])]
    pub(crate) qp: Option<u8>,
    /// Lowest quantiser (best quality) that the bit rate may lead to
    #[arg(long, value_name = "QP", value_parser = values::quantiser)]
    pub(crate) qp_min: Option<u8>,
    /// Highest quantiser (worst quality) that the bit rate may lead to
    #[arg(long, value_name = "QP", value_parser = values::quantiser)]
    pub(crate) qp_max: Option<u8>,
    /// Time spent per picture: fastest, balanced or quality
    #[arg(long, default_value_t = Effort::Fastest)]
    pub(crate) effort: Effort,
    /// A keyframe at least every N pictures [default: only the first]
    #[arg(long, value_name = "N")]
    pub(crate) keyframe_every: Option<NonZeroU32>,
    /// Threads of a software encoder [default: as the encoder likes]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroU32>,
}

/// What pictures are coded as.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// Chroma of the coded pictures: 420 or 444
    #[arg(long, default_value_t = Chroma::C420)]
    pub(crate) chroma: Chroma,
    /// Colour matrix: bt709 or bt601 [default: what players take the codec for]
    #[arg(long, value_name = "MATRIX", value_parser = matrix)]
    pub(crate) color_matrix: Option<Matrix>,
    /// Nominal range: limited or full [default: as a Y4M file says, else full for mjpeg and limited for others]
    #[arg(long, value_parser = range)]
    pub(crate) range: Option<Range>,
}

/// How the run goes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// Stop after so many frames
    #[arg(long, value_name = "N", value_parser = values::frames)]
    pub(crate) frames: Option<u64>,
    /// Stop after so much of the source's time: 10, 2.5s, 1500ms or 3m
    #[arg(long, value_name = "TIME", value_parser = values::duration, conflicts_with = "frames")]
    pub(crate) duration: Option<Duration>,
    /// Give frames at the source's rate; the newest wins where the encoder does
    /// not keep up. Without it every frame is coded, as fast as can be
    #[arg(long)]
    pub(crate) realtime: bool,
    /// Do not code frames in which nothing changed
    #[arg(long)]
    pub(crate) skip_unchanged: bool,
    /// Where the frames live: memory (of this process), memfd (shared),
    /// udmabuf, dma-heap[:NAME], dumb:NODE or gbm:NODE[:MODIFIER] (dma-bufs)
    ///
    /// gbm takes buffers from the driver of a DRM node by libgbm.so.1: with
    /// MODIFIER (LINEAR, INTEL_4_TILED, ... or 0x and the number in hexadecimal)
    /// tiled like that, without it as the driver likes best. The source must be of
    /// one plane (desktop, PNG, raw XR24). Software encoders read LINEAR only.
    /// gbm was never run on a GPU: it is tested with a library made for the tests,
    /// and with Mesa's on devices that are memory (docs/rig.md).
    #[arg(long, default_value = "memfd")]
    pub(crate) memory: Memory,
}

fn matrix(text: &str) -> Result<Matrix, String> {
    match text {
        "bt709" => Ok(Matrix::Bt709),
        "bt601" => Ok(Matrix::Bt601),
        _ => Err(format!("{text:?} is no colour matrix: one of bt709, bt601")),
    }
}

fn range_name(range: Range) -> &'static str {
    match range {
        Range::Limited => "limited",
        Range::Full => "full",
    }
}

fn range(text: &str) -> Result<Range, String> {
    match text {
        "limited" => Ok(Range::Limited),
        "full" => Ok(Range::Full),
        _ => Err(format!("{text:?} is no range: one of limited, full")),
    }
}

impl RateArgs {
    /// The rate control asked for, checked against the codec's scale.
    fn control(&self, codec: Codec) -> Result<RateControl, Failure> {
        let top = match codec {
            Codec::H264 | Codec::H265 => 51,
            Codec::Mjpeg => 100,
            _ => 63,
        };
        for (option, qp) in [
            ("--qp", self.qp),
            ("--qp-min", self.qp_min),
            ("--qp-max", self.qp_max),
        ] {
            if let Some(qp) = qp.filter(|qp| *qp > top) {
                return Err(Failure::usage(format_args!(
                    "{option} {qp}: quantisers of {codec} are 0 to {top}"
                )));
            }
        }
        if let Some(qp) = self.qp {
            return Ok(RateControl::ConstantQp { qp });
        }
        let mut control = RateControl::constant(self.bitrate);
        if let RateControl::Constant { qp, .. } = &mut control
            && (self.qp_min.is_some() || self.qp_max.is_some())
        {
            let bounds = QpBounds {
                min: self.qp_min.unwrap_or(0),
                max: self.qp_max.unwrap_or(top),
            };
            if bounds.min > bounds.max {
                return Err(Failure::usage(format_args!(
                    "--qp-min {} is above --qp-max {}",
                    bounds.min, bounds.max
                )));
            }
            *qp = Some(bounds);
        }
        Ok(control)
    }

    pub(super) fn config(&self, codec: Codec, rate: FrameRate) -> Result<EncoderConfig, Failure> {
        let mut config = EncoderConfig::new(codec);
        config.rate = self.control(codec)?;
        config.frame_rate = rate;
        config.effort = self.effort;
        config.threads = self.threads;
        config.keyframes = match self.keyframe_every {
            Some(every) => Keyframes::Every(every),
            None => Keyframes::OnRequest,
        };
        Ok(config)
    }
}

impl PictureArgs {
    fn color(&self, preferred: ColorSpec, declared: Declared) -> ColorSpec {
        let mut color = preferred;
        match self.color_matrix {
            Some(Matrix::Bt601) => {
                color.primaries = Primaries::Bt601;
                color.transfer = Transfer::Bt601;
                color.matrix = Matrix::Bt601;
            }
            Some(_) => {
                let chroma_site = color.chroma_site;
                color = ColorSpec {
                    chroma_site,
                    ..ColorSpec::DESKTOP
                };
            }
            None => {}
        }
        color.range = declared.range.or(self.range).unwrap_or(preferred.range);
        color.chroma_site = declared.chroma_site.unwrap_or(preferred.chroma_site);
        color
    }

    /// How pictures of `size` are coded by `codec`, of a source whose samples are as
    /// `declared`, where it says so: such samples are taken as they are.
    pub(crate) fn stage(
        &self,
        codec: Codec,
        size: Size,
        declared: Declared,
        max_path: Option<PathClass>,
    ) -> Result<StageConfig, Failure> {
        if let (Some(asked), Some(declared)) = (self.range, declared.range)
            && asked != declared
        {
            return Err(Failure::usage(format_args!(
                "--range {}: the source says that its samples are of {} range",
                range_name(asked),
                range_name(declared)
            ))
            .hint("leave --range out: samples that are Y'CbCr already are not converted"));
        }
        let mut stage = StageConfig::new(size);
        stage.chroma = self.chroma;
        stage.color = self.color(codec.preferred_color(size), declared);
        if let Some(only) = codec.required_color()
            && (stage.color.matrix, stage.color.range) != (only.matrix, only.range)
        {
            return Err(Failure::usage(format_args!(
                "{codec} pictures are always {only}, not {}",
                stage.color
            ))
            .hint("leave --color-matrix and --range out, or choose another --codec"));
        }
        if let Some(path) = max_path {
            stage.max_path = path;
        }
        Ok(stage)
    }
}

impl Default for RateArgs {
    fn default() -> Self {
        Self {
            bitrate: Bitrate::kbps(8000),
            qp: None,
            qp_min: None,
            qp_max: None,
            effort: Effort::Fastest,
            keyframe_every: None,
            threads: None,
        }
    }
}

impl Default for PictureArgs {
    fn default() -> Self {
        Self {
            chroma: Chroma::C420,
            color_matrix: None,
            range: None,
        }
    }
}

impl RunArgs {
    /// Frames to take of a source of `rate`, where there is a limit.
    pub(super) fn frame_limit(&self, rate: FrameRate) -> Option<u64> {
        // In whole numbers: 1.1 s at 10 per second are 11 frames, and not the 12
        // that rounding up a hair above 11.0 gives.
        let by_time = |time: Duration| {
            let per = u128::from(rate.den.get()) * 1_000_000_000;
            let frames = (time.as_nanos() * u128::from(rate.num.get())).div_ceil(per);
            u64::try_from(frames).unwrap_or(u64::MAX)
        };
        self.frames.or_else(|| self.duration.map(by_time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_as_many_frames_as_begin_in_it() {
        let frames = |ms, num, den| {
            let run = RunArgs {
                frames: None,
                duration: Some(Duration::from_millis(ms)),
                realtime: false,
                skip_unchanged: false,
                memory: Memory::Process,
            };
            let rate = FrameRate {
                num: NonZeroU32::new(num).unwrap(),
                den: NonZeroU32::new(den).unwrap(),
            };
            run.frame_limit(rate)
        };
        assert_eq!(frames(1100, 10, 1), Some(11));
        assert_eq!(frames(10_000, 60, 1), Some(600));
        assert_eq!(frames(1001, 30_000, 1001), Some(30));
        assert_eq!(frames(1, 60, 1), Some(1));
    }
}
