//! The quantisers that elements take are those that they code with.

mod support;

use scanout_core::encoder::{
    Bitrate, OpenError, PictureRequest, QpBounds, RateControl, StageConfig,
};
use scanout_core::geometry::Size;
use support::*;

const SIZE: Size = Size::new(160, 120);

#[test]
fn quantisers_that_openh264_would_replace_are_refused_with_the_bounds() {
    if !installed().contains(&"openh264enc") {
        return;
    }
    let stager = stager(&StageConfig::new(SIZE));
    let open = |rate| {
        let mut config = config("openh264enc");
        config.rate = rate;
        stager
            .encoder(&config)
            .map(|encoder| encoder.stream().not_applied.clone())
    };
    let bounded = |min, max| {
        let mut rate = RateControl::constant(Bitrate::kbps(1000));
        if let RateControl::Constant { qp, .. } = &mut rate {
            *qp = Some(QpBounds { min, max });
        }
        rate
    };
    for rate in [
        RateControl::ConstantQp { qp: 0 },
        RateControl::ConstantQp { qp: 11 },
        bounded(1, 40),
        bounded(0, 11),
    ] {
        let error = open(rate).err().unwrap();
        assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("12 to 51"), "{error}");
    }
    for rate in [
        RateControl::ConstantQp { qp: 12 },
        RateControl::ConstantQp { qp: 51 },
        bounded(12, 40),
    ] {
        let said = open(rate).unwrap();
        assert!(!said.iter().any(|s| s.contains("down to")), "{said:?}");
    }
    // No lower bound: the upper one counts, which the library forgets over a 0.
    let said = open(bounded(0, 40)).unwrap();
    assert!(said.iter().any(|s| s.contains("down to 12")), "{said:?}");
}

/// The elements' own properties end before the codec's scale does.
#[test]
fn each_quantiser_of_h264_is_coded_with_what_it_says() {
    let bytes = |element: &str, qp| {
        let mut stager = stager(&StageConfig::new(SIZE));
        let mut config = config(element);
        config.rate = RateControl::ConstantQp { qp };
        let mut encoder = stager.encoder(&config).unwrap();
        let picture = stage(&mut *stager, frame(0, SIZE));
        let packet = encode(&mut *encoder, &picture, &PictureRequest::plain()).unwrap();
        (packet.bytes.len(), encoder.stream().not_applied.clone())
    };
    for (element, qps) in [
        ("x264enc", &[0, 1, 11, 12, 49, 50, 51][..]),
        ("openh264enc", &[13, 16, 50, 51]),
    ] {
        if !installed().contains(&element) {
            continue;
        }
        let mut last = usize::MAX;
        for &qp in qps {
            let (size, said) = bytes(element, qp);
            assert!(size < last, "{element} {qp}: {size} after {last} bytes");
            // Lossless coding has no quantiser to compare.
            last = if qp == 0 { usize::MAX } else { size };
            let lossless = said.iter().any(|s| s.contains("High 4:4:4 Predictive"));
            assert_eq!(lossless, qp == 0, "{element} {qp}: {said:?}");
        }
    }
}
