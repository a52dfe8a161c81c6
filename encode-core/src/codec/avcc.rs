//! `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1): the parameter
//! sets as MP4, Matroska and RTMP carry them.

use super::bits::SyntaxError;
use super::h264::{NalHeader, NalType, Sps};

/// Builds the record from whole NAL units (header included, no start codes); slices
/// are then expected behind lengths of four bytes.
pub fn avc_decoder_configuration(sps: &[&[u8]], pps: &[&[u8]]) -> Result<Vec<u8>, SyntaxError> {
    let Some(first) = sps.first() else {
        return Err(count_error("numOfSequenceParameterSets", 0, 31));
    };
    let parsed = Sps::read_nal(first)?;
    let mut record = vec![
        1,
        parsed.profile_idc,
        parsed.constraint_flags,
        parsed.level_idc,
        // Six reserved ones and lengthSizeMinusOne 3.
        0xFF,
    ];
    let count = u8::try_from(sps.len()).ok().filter(|count| *count <= 31);
    record.push(
        0xE0 | count.ok_or_else(|| count_error("numOfSequenceParameterSets", sps.len(), 31))?,
    );
    for nal in sps {
        push_set(&mut record, nal, NalType::SPS)?;
    }
    record.push(
        u8::try_from(pps.len())
            .map_err(|_| count_error("numOfPictureParameterSets", pps.len(), 255))?,
    );
    for nal in pps {
        push_set(&mut record, nal, NalType::PPS)?;
    }
    if matches!(parsed.profile_idc, 100 | 110 | 122 | 144 | 244) {
        let (luma, chroma) = parsed.bit_depth();
        record.extend([
            0xFC | parsed.chroma_format_idc(),
            0xF8 | (luma - 8),
            0xF8 | (chroma - 8),
            // No SPS extensions.
            0,
        ]);
    }
    Ok(record)
}

fn push_set(record: &mut Vec<u8>, nal: &[u8], unit_type: NalType) -> Result<(), SyntaxError> {
    let (header, _) = NalHeader::split(nal)?;
    if header.unit_type != unit_type {
        return Err(SyntaxError::WrongUnit {
            expected: "parameter set",
            value: header.unit_type.0.into(),
        });
    }
    let length = u16::try_from(nal.len())
        .map_err(|_| count_error("parameterSetLength", nal.len(), 65535))?;
    record.extend(length.to_be_bytes());
    record.extend_from_slice(nal);
    Ok(())
}

fn count_error(element: &'static str, value: usize, max: i64) -> SyntaxError {
    SyntaxError::OutOfRange {
        element,
        bit: 0,
        value: i64::try_from(value).unwrap_or(i64::MAX),
        min: 1,
        max,
    }
}
