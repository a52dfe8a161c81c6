//! H.264 headers (ITU-T H.264, 08/2021; clause numbers are its).

pub mod access_unit;
pub mod config;
pub mod decision;
pub mod gop;
pub mod level;
pub mod marking;
pub mod nal;
pub mod pps;
pub mod rewrite;
pub mod scaling;
pub mod sei;
pub mod slice;
pub mod sps;
pub mod vui;

pub use access_unit::{AccessUnit, ParameterSets, access_units};
pub use config::{ChromaFormat, ConfigError, Profile, SpsConfig};
pub use decision::{GopConfig, PictureDecision, PictureId, PictureKind, PictureRequest};
pub use gop::Gop;
pub use level::Level;
pub use nal::{NalHeader, NalType, access_unit_delimiter};
pub use pps::Pps;
pub use rewrite::{Rewrite, SpsRewriter};
pub use sei::{RecoveryPoint, SeiMessage, read_sei, sei_nal};
pub use slice::{SliceContext, SliceHeader, SliceType};
pub use sps::Sps;
pub use vui::{ColorCodes, Vui};
