//! Messages of every channel, of main and of the agent.

use scanout_spice::wire::WireError;
use scanout_spice::wire::agent::AgentHeader;
use scanout_spice::wire::base::{
    BaseClientMessage, BaseServerMessage, ChannelWait, Notice, Severity,
};
use scanout_spice::wire::link::{ChannelType, LinkError};
use scanout_spice::wire::main::{
    ChannelId, MainClientMessage, MainInit, MainServerMessage, MouseModes,
};

#[test]
fn base_messages() {
    layout!(
        BaseServerMessage,
        BaseServerMessage::SetAck {
            generation: 1,
            window: 20
        },
        3,
        [1, 0, 0, 0, 20, 0, 0, 0]
    );
    layout!(
        BaseServerMessage,
        BaseServerMessage::Ping {
            id: 7,
            timestamp: 0x0102,
            data: b"xy"
        },
        4,
        [7, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, b'x', b'y']
    );
    layout!(
        BaseServerMessage,
        BaseServerMessage::WaitForChannels(vec![ChannelWait {
            channel_type: ChannelType::Display,
            channel_id: 1,
            message_serial: 9
        }]),
        5,
        [1, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0]
    );
    layout!(
        BaseServerMessage,
        BaseServerMessage::Disconnecting {
            timestamp: 5,
            reason: LinkError::Error
        },
        6,
        [5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    );
    layout!(
        BaseServerMessage,
        BaseServerMessage::Notify(Notice {
            timestamp: 5,
            severity: Severity::Warn,
            visibility: 2,
            what: 3,
            message: b"hm"
        }),
        7,
        [
            5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, b'h', b'm', 0
        ]
    );
    layout!(
        BaseClientMessage,
        BaseClientMessage::AckSync { generation: 1 },
        1,
        [1, 0, 0, 0]
    );
    layout!(BaseClientMessage, BaseClientMessage::Ack, 2, []);
    layout!(
        BaseClientMessage,
        BaseClientMessage::Pong {
            id: 7,
            timestamp: 0x0102
        },
        3,
        [7, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]
    );
    layout!(
        BaseClientMessage,
        BaseClientMessage::Disconnecting {
            timestamp: 1,
            reason: 0
        },
        6,
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn main_messages_of_the_server() {
    // INIT has 32 bytes.
    layout!(
        MainServerMessage,
        MainServerMessage::Init(MainInit {
            session_id: 0x0a0b_0c0d,
            display_channels_hint: 1,
            supported_mouse_modes: MouseModes::all(),
            current_mouse_mode: MouseModes::CLIENT,
            agent_connected: true,
            agent_tokens: 10,
            multi_media_time: 0x0403_0201,
            ram_hint: 0x0100_0000,
        }),
        103,
        [
            0x0d, 0x0c, 0x0b, 0x0a, 1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 1,
            2, 3, 4, 0, 0, 0, 1
        ]
    );
    layout!(
        MainServerMessage,
        MainServerMessage::ChannelsList(vec![
            ChannelId {
                channel_type: ChannelType::Display,
                id: 0
            },
            ChannelId {
                channel_type: ChannelType::Inputs,
                id: 0
            },
            ChannelId {
                channel_type: ChannelType::Cursor,
                id: 1
            },
        ]),
        104,
        [3, 0, 0, 0, 2, 0, 3, 0, 4, 1]
    );
    layout!(
        MainServerMessage,
        MainServerMessage::MouseMode {
            supported: MouseModes::SERVER,
            current: MouseModes::SERVER
        },
        105,
        [1, 0, 1, 0]
    );
    layout!(
        MainServerMessage,
        MainServerMessage::MultiMediaTime(0x0102),
        106,
        [2, 1, 0, 0]
    );
    layout!(
        MainServerMessage,
        MainServerMessage::AgentConnected,
        107,
        []
    );
    layout!(
        MainServerMessage,
        MainServerMessage::AgentDisconnected(LinkError::Error),
        108,
        [1, 0, 0, 0]
    );
    layout!(
        MainServerMessage,
        MainServerMessage::AgentData(b"abc"),
        109,
        *b"abc"
    );
    layout!(
        MainServerMessage,
        MainServerMessage::AgentToken(2),
        110,
        [2, 0, 0, 0]
    );
    layout!(
        MainServerMessage,
        MainServerMessage::Name(b"vm"),
        113,
        [3, 0, 0, 0, b'v', b'm', 0]
    );
    layout!(
        MainServerMessage,
        MainServerMessage::Uuid([7; 16]),
        114,
        [7; 16]
    );
    layout!(
        MainServerMessage,
        MainServerMessage::AgentConnectedTokens(3),
        115,
        [3, 0, 0, 0]
    );
    // What every channel has is there too.
    layout!(
        MainServerMessage,
        MainServerMessage::Base(BaseServerMessage::SetAck {
            generation: 1,
            window: 2
        }),
        3,
        [1, 0, 0, 0, 2, 0, 0, 0]
    );
}

#[test]
fn main_messages_of_the_client() {
    layout!(
        MainClientMessage,
        MainClientMessage::ClientInfo { cache_size: 258 },
        101,
        [2, 1, 0, 0, 0, 0, 0, 0]
    );
    layout!(
        MainClientMessage,
        MainClientMessage::AttachChannels,
        104,
        []
    );
    layout!(
        MainClientMessage,
        MainClientMessage::MouseModeRequest(MouseModes::CLIENT),
        105,
        [2, 0]
    );
    layout!(
        MainClientMessage,
        MainClientMessage::AgentStart { tokens: 10 },
        106,
        [10, 0, 0, 0]
    );
    layout!(
        MainClientMessage,
        MainClientMessage::AgentData(b"abc"),
        107,
        *b"abc"
    );
    layout!(
        MainClientMessage,
        MainClientMessage::AgentToken { tokens: 1 },
        108,
        [1, 0, 0, 0]
    );
    layout!(
        MainClientMessage,
        MainClientMessage::Base(BaseClientMessage::Ack),
        2,
        []
    );
    // MIGRATE_CONNECT_ERROR, MIGRATE_END, and one of the future.
    for kind in [103, 109, 999] {
        assert_eq!(
            MainClientMessage::decode(kind, &[1, 2, 3]),
            Ok(MainClientMessage::Unknown { kind, size: 3 })
        );
    }
}

#[test]
fn agent_messages() {
    let header = AgentHeader {
        kind: 6,
        opaque: 0x0102,
        size: 12,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    assert_eq!(
        bytes,
        [1, 0, 0, 0, 6, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0]
    );
    bytes[0] = 2;
    assert!(matches!(
        AgentHeader::decode(&bytes),
        Err(WireError::BadValue {
            seen: 2,
            offset: 0,
            ..
        })
    ));
}
