//! Which of the verified encoders to take, and why.
//!
//! The ranking is a sum of costs in milliseconds per frame at 1080p, so that a
//! reader can follow it: what the path to the encoder costs, what the encoder
//! itself took in its trial, what it holds back, and a handicap for codecs that
//! fewer receivers decode. Trials are short and machines busy, so that costs
//! within half as much again count as equal: among equals the codec that more
//! receivers decode and then the backend's own rank decide, so that the choice
//! seldom changes from one run to the next. Under heavy load it may.

use std::fmt::Write as _;

use serde::Serialize;

use crate::encoder::{BackendName, Chroma, Codec, DeviceKind, PathClass};
use crate::geometry::Size;
use crate::probe::{Candidate, ProbeReport, Verdict, Verified};

/// What the caller insists on; `None` leaves it open.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Wish {
    /// This codec.
    pub codec: Option<Codec>,
    /// This chroma.
    pub chroma: Chroma,
    /// This backend, by name.
    pub backend: Option<String>,
    /// This encoder, by its backend's name for it.
    pub encoder: Option<String>,
    /// No dearer path than this.
    pub max_path: Option<PathClass>,
    /// Able to code this size.
    pub size: Option<Size>,
}

/// Candidates in order, best first, and those that will not do.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Ranking {
    /// Best first.
    pub ranked: Vec<Ranked>,
    /// With the reason for each.
    pub rejected: Vec<Rejected>,
}

/// A candidate that will do.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Ranked {
    /// The candidate.
    pub candidate: Candidate,
    /// Sum of its costs.
    pub cost: f64,
    /// The terms of the sum, in a sentence.
    pub why: String,
}

/// A candidate that will not do.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Rejected {
    /// Its backend.
    pub backend: BackendName,
    /// Its name.
    pub encoder: String,
    /// Its codec.
    pub codec: Codec,
    /// Why not.
    pub reason: String,
}

/// Orders the candidates of `report` by cost under `wish`.
pub fn rank(report: &ProbeReport, wish: &Wish) -> Ranking {
    let mut ranking = Ranking {
        ranked: Vec::new(),
        rejected: Vec::new(),
    };
    for candidate in &report.candidates {
        match judge(candidate, wish) {
            Ok(verified) => {
                let (cost, why) = cost(candidate, verified);
                ranking.ranked.push(Ranked {
                    candidate: candidate.clone(),
                    cost,
                    why,
                });
            }
            Err(reason) => ranking.rejected.push(Rejected {
                backend: candidate.backend,
                encoder: candidate.advertised.name.clone(),
                codec: candidate.advertised.codec,
                reason,
            }),
        }
    }
    ranking.ranked.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut rest = ranking.ranked.as_mut_slice();
    while let Some(cheapest) = rest.first().map(|r| r.cost) {
        let equal = rest.partition_point(|r| r.cost <= cheapest * EQUAL_WITHIN);
        let (group, others) = rest.split_at_mut(equal.max(1));
        group.sort_by(|a, b| {
            let (a, b) = (&a.candidate.advertised, &b.candidate.advertised);
            let reach = reach_ms(a.codec).total_cmp(&reach_ms(b.codec));
            reach.then(b.rank.cmp(&a.rank))
        });
        rest = others;
    }
    ranking
}

/// Costs up to this many times the cheapest count as equal to it.
const EQUAL_WITHIN: f64 = 1.5;

fn judge<'a>(candidate: &'a Candidate, wish: &Wish) -> Result<&'a Verified, String> {
    let caps = &candidate.advertised;
    if let Some(codec) = wish.codec
        && codec != caps.codec
    {
        return Err(format!("codes {}, not {codec}", caps.codec));
    }
    if let Some(backend) = &wish.backend
        && backend != candidate.backend.0
    {
        return Err(format!("is of backend {}", candidate.backend));
    }
    if let Some(encoder) = &wish.encoder
        && *encoder != caps.name
    {
        return Err("another encoder was asked for".to_owned());
    }
    if !caps.chroma.contains(&wish.chroma) {
        return Err(format!("has no chroma {}", wish.chroma));
    }
    if let Some(size) = wish.size
        && (size.width < caps.min_size.width
            || size.height < caps.min_size.height
            || size.width > caps.max_size.width
            || size.height > caps.max_size.height)
    {
        return Err(format!(
            "takes {} to {}, not {size}",
            caps.min_size, caps.max_size
        ));
    }
    let verified = match &candidate.verdict {
        Verdict::Verified(verified) => verified,
        Verdict::Failed { reason } => return Err(reason.clone()),
        Verdict::Untried => return Err("was not tried".to_owned()),
    };
    if let Some(ceiling) = wish.max_path
        && verified.path > ceiling
    {
        return Err(format!(
            "goes the {} way, and {ceiling} is the most that is allowed",
            verified.path
        ));
    }
    Ok(verified)
}

/// What the way to the encoder costs at 1080p: a label's typical price, as a
/// fraction of a CPU conversion of about 1.5 ms.
const fn path_ms(path: PathClass) -> f64 {
    match path {
        PathClass::ZeroCopy => 0.0,
        PathClass::GpuCopy => 0.3,
        PathClass::CpuUpload => 2.0,
        PathClass::Readback => 3.0,
        PathClass::Software => 1.5,
    }
}

/// A handicap for what fewer receivers decode, or decode on the CPU alone.
const fn reach_ms(codec: Codec) -> f64 {
    match codec {
        Codec::H264 => 0.0,
        Codec::H265 | Codec::Vp9 | Codec::Vp8 => 10.0,
        Codec::Av1 => 20.0,
        // Everybody decodes it, at many times the bits: only where it is asked for.
        Codec::Mjpeg => 200.0,
    }
}

fn cost(candidate: &Candidate, verified: &Verified) -> (f64, String) {
    let path = path_ms(verified.path);
    let pixels = verified.size.area().max(1) as f64;
    let encode = verified.encode_ms * (1920.0 * 1080.0 / pixels);
    // A CPU encoder takes the cores that the source needs as well.
    let load = if candidate.device.kind == DeviceKind::Cpu {
        encode
    } else {
        0.0
    };
    let delay = f64::from(verified.delay_frames) * 1000.0 / 60.0;
    let reach = reach_ms(candidate.advertised.codec);
    let color = if verified.color_in_headers == Some(false) {
        5.0
    } else {
        0.0
    };
    let mut why = format!("path {} {path:.1} + encode {encode:.1}", verified.path);
    for (name, term) in [
        ("CPU load", load),
        ("delay", delay),
        ("codec reach", reach),
        ("no colour in headers", color),
    ] {
        if term > 0.0 {
            // Writing to a string cannot fail.
            let _ = write!(why, " + {name} {term:.1}");
        }
    }
    let cost = path + encode + load + delay + reach + color;
    let _ = write!(why, " = {cost:.1} ms per 1080p frame");
    (cost, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Device, EncoderCaps};

    fn candidate(name: &str, codec: Codec, kind: DeviceKind, verdict: Verdict) -> Candidate {
        Candidate {
            backend: BackendName("gst"),
            device: Device::new("x", "x", kind),
            advertised: EncoderCaps {
                name: name.to_owned(),
                codec,
                chroma: vec![Chroma::C420],
                min_size: Size::new(16, 16),
                max_size: Size::new(4096, 4096),
                rates: Vec::new(),
                live_bitrate: true,
                qp_bounds: true,
                path: PathClass::Software,
                rank: 1,
                notes: Vec::new(),
            },
            verdict,
        }
    }

    fn verified(path: PathClass, encode_ms: f64, delay_frames: u32) -> Verdict {
        Verdict::Verified(Verified {
            open_ms: 1.0,
            first_packet_ms: 1.0,
            encode_ms,
            size: Size::new(1920, 1080),
            delay_frames,
            path,
            codec_string: None,
            color_in_headers: Some(true),
            reorder_depth: Some(0),
            keyframe_on_request: true,
            not_applied: Vec::new(),
        })
    }

    fn report() -> ProbeReport {
        let failed = Verdict::Failed {
            reason: "its first packet is no keyframe".to_owned(),
        };
        ProbeReport {
            schema: crate::probe::SCHEMA,
            candidates: vec![
                candidate(
                    "slow",
                    Codec::H264,
                    DeviceKind::Cpu,
                    verified(PathClass::Software, 9.0, 0),
                ),
                candidate(
                    "late",
                    Codec::H264,
                    DeviceKind::Cpu,
                    verified(PathClass::Software, 4.0, 2),
                ),
                candidate("liar", Codec::H264, DeviceKind::Gpu, failed),
                candidate(
                    "gpu",
                    Codec::H264,
                    DeviceKind::Gpu,
                    verified(PathClass::GpuCopy, 3.0, 0),
                ),
                candidate(
                    "av1",
                    Codec::Av1,
                    DeviceKind::Gpu,
                    verified(PathClass::GpuCopy, 2.0, 0),
                ),
            ],
            unavailable: Vec::new(),
        }
    }

    fn names(ranking: &Ranking) -> Vec<&str> {
        let names = ranking.ranked.iter();
        names
            .map(|r| r.candidate.advertised.name.as_str())
            .collect()
    }

    #[test]
    fn hardware_without_delay_comes_first_and_delay_costs() {
        let ranking = rank(&report(), &Wish::default());
        assert_eq!(names(&ranking), ["gpu", "slow", "av1", "late"]);
        assert_eq!(ranking.rejected.len(), 1);
        assert!(ranking.rejected[0].reason.contains("keyframe"));
        assert!(ranking.ranked[0].why.ends_with("ms per 1080p frame"));
    }

    #[test]
    fn among_equal_costs_the_backends_rank_decides() {
        let mut report = report();
        let by_name = |report: &mut ProbeReport, name: &str, encode_ms, rank| {
            let row = report.candidates.iter_mut();
            let row = row.into_iter().find(|c| c.advertised.name == name).unwrap();
            row.verdict = verified(PathClass::Software, encode_ms, 0);
            row.advertised.rank = rank;
        };
        by_name(&mut report, "gpu", 9.0, 1);
        by_name(&mut report, "slow", 10.0, 7);
        by_name(&mut report, "late", 30.0, 9);
        let wish = Wish {
            codec: Some(Codec::H264),
            ..Wish::default()
        };
        // 10.5 and 21.5 ms are no equals, 61.5 is far off.
        assert_eq!(names(&rank(&report, &wish)), ["gpu", "slow", "late"]);
        by_name(&mut report, "slow", 6.0, 7);
        assert_eq!(names(&rank(&report, &wish)), ["slow", "gpu", "late"]);
    }

    #[test]
    fn a_wish_rejects_with_a_reason_each() {
        let wish = Wish {
            codec: Some(Codec::H264),
            max_path: Some(PathClass::GpuCopy),
            ..Wish::default()
        };
        let ranking = rank(&report(), &wish);
        assert_eq!(names(&ranking), ["gpu"]);
        let reasons: Vec<&str> = ranking.rejected.iter().map(|r| r.reason.as_str()).collect();
        assert!(reasons.contains(&"codes av1, not h264"), "{reasons:?}");
        let path = "goes the software way, and gpu-copy is the most that is allowed";
        assert!(reasons.contains(&path), "{reasons:?}");
        let wish = Wish {
            size: Some(Size::new(8192, 100)),
            ..Wish::default()
        };
        assert!(rank(&report(), &wish).ranked.is_empty());
    }
}
