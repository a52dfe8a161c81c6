//! Supplemental enhancement information (7.3.2.3, annex D).

use super::super::bits::{BitReader, BitWriter, SyntaxError};
use super::super::syntax::Syntax;
use super::nal::{NalHeader, NalType};

/// One SEI message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeiMessage {
    /// Payload type 6.
    RecoveryPoint(RecoveryPoint),
    /// Payload type 5: data under a UUID.
    UserData {
        /// `uuid_iso_iec_11578`
        uuid: [u8; 16],
        /// `user_data_payload_byte`s
        data: Vec<u8>,
    },
    /// Any other message, as its bytes.
    Other {
        /// `payloadType`
        payload_type: u32,
        /// The payload without emulation prevention.
        payload: Vec<u8>,
    },
}

/// Where decoding may start without an IDR picture (D.1.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryPoint {
    /// `recovery_frame_cnt`: frames after which the picture is right.
    pub frames: u32,
    /// `exact_match_flag`
    pub exact_match: bool,
    /// `broken_link_flag`
    pub broken_link: bool,
    /// `changing_slice_group_idc`, 0 to 2.
    pub changing_slice_groups: u8,
}

impl RecoveryPoint {
    fn walk<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        s.ue("recovery_frame_cnt", 0..=65535, &mut self.frames)?;
        s.flag("exact_match_flag", &mut self.exact_match)?;
        s.flag("broken_link_flag", &mut self.broken_link)?;
        s.u_in(
            "changing_slice_group_idc",
            2,
            0..=2,
            &mut self.changing_slice_groups,
        )
    }
}

impl SeiMessage {
    fn payload_type(&self) -> u32 {
        match self {
            Self::RecoveryPoint(_) => 6,
            Self::UserData { .. } => 5,
            Self::Other { payload_type, .. } => *payload_type,
        }
    }

    fn payload(&self) -> Result<Vec<u8>, SyntaxError> {
        Ok(match self {
            Self::RecoveryPoint(point) => {
                let mut writer = BitWriter::new();
                let mut point = *point;
                point.walk(&mut writer)?;
                // D.1: a payload that does not end on a byte is padded as an RBSP is.
                if !writer.position().is_multiple_of(8) {
                    writer.finish();
                }
                writer.into_bytes()
            }
            Self::UserData { uuid, data } => [uuid.as_slice(), data].concat(),
            Self::Other { payload, .. } => payload.clone(),
        })
    }

    fn of_payload(payload_type: u32, payload: Vec<u8>) -> Result<Self, SyntaxError> {
        match payload_type {
            6 => {
                let mut point = RecoveryPoint::default();
                point.walk(&mut BitReader::new(&payload))?;
                Ok(Self::RecoveryPoint(point))
            }
            5 => match payload.split_first_chunk::<16>() {
                Some((uuid, data)) => Ok(Self::UserData {
                    uuid: *uuid,
                    data: data.to_vec(),
                }),
                None => Err(SyntaxError::Truncated {
                    element: "uuid_iso_iec_11578",
                    bit: 0,
                }),
            },
            _ => Ok(Self::Other {
                payload_type,
                payload,
            }),
        }
    }
}

/// Reads the messages of a whole NAL unit of type 6, without start code.
pub fn read_sei(nal: &[u8]) -> Result<Vec<SeiMessage>, SyntaxError> {
    let (header, payload) = NalHeader::split(nal)?;
    header.expect(NalType::SEI, "SEI")?;
    let mut reader = BitReader::escaped(payload);
    let mut messages = Vec::new();
    loop {
        let payload_type = read_number(&mut reader, "payloadType")?;
        let size = read_number(&mut reader, "payloadSize")? as usize;
        reader.room_for("sei_payload", size, 8)?;
        let mut bytes = Vec::with_capacity(size);
        for _ in 0..size {
            bytes.push(reader.read_bits("sei_payload", 8)? as u8);
        }
        messages.push(SeiMessage::of_payload(payload_type, bytes)?);
        if !reader.more_rbsp_data() {
            break;
        }
    }
    reader.finish("sei_rbsp")?;
    Ok(messages)
}

/// Writes one NAL unit with `messages`, at least one, without start code.
pub fn sei_nal(messages: &[SeiMessage]) -> Result<Vec<u8>, SyntaxError> {
    if messages.is_empty() {
        return Err(SyntaxError::Length {
            element: "sei_message",
            value: 0,
            expected: 1,
        });
    }
    let mut writer = BitWriter::new();
    for message in messages {
        let payload = message.payload()?;
        write_number(&mut writer, message.payload_type());
        write_number(
            &mut writer,
            u32::try_from(payload.len()).unwrap_or(u32::MAX),
        );
        for byte in payload {
            writer.write_bits(byte.into(), 8);
        }
    }
    writer.finish();
    Ok(NalHeader::new(0, NalType::SEI).nal(writer.bytes()))
}

/// A number in bytes: 255 for each whole 255, then the rest.
fn read_number(reader: &mut BitReader<'_>, element: &'static str) -> Result<u32, SyntaxError> {
    let mut number = 0u32;
    loop {
        let byte = reader.read_bits(element, 8)?;
        number = number.saturating_add(byte);
        if byte != 255 {
            return Ok(number);
        }
    }
}

fn write_number(writer: &mut BitWriter, mut number: u32) {
    while number >= 255 {
        writer.write_bits(255, 8);
        number -= 255;
    }
    writer.write_bits(number.into(), 8);
}
