//! A session: main, displays, and what else is asked for.

use std::sync::Arc;
use std::time::Duration;

use scanout_spice::wire::display::{DisplayClientMessage, DisplayInit};
use scanout_spice::wire::link::{Capabilities, ChannelType, DisplayCap, MainCap};
use scanout_spice::wire::main::{ChannelId, MainInit};

use crate::channel::{Behaviour, Clock};
use crate::judge::Violation;
use crate::link::{LinkFailure, Linked, Request, link};
use crate::log::Event;
use crate::{Address, Channel, Pace, Reports, TimedOut};

/// What a client is like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the server is.
    pub address: Address,
    /// The password, maybe empty.
    pub password: String,
    /// Capabilities of the display channels. [`Config::new`] has those of spice-gtk.
    pub display_caps: Capabilities,
    /// Displays to link, by their ids; those that the server does not list fail.
    pub displays: Vec<u8>,
    /// Whether the inputs channel is linked.
    pub inputs: bool,
    /// Whether the first cursor channel is linked.
    pub cursor: bool,
    /// What is said of streams.
    pub reports: Reports,
    /// Whether acknowledgements are sent.
    pub acks: bool,
    /// Whether pings are answered.
    pub pongs: bool,
    /// Whether displays send INIT, without which nothing may come.
    pub init: bool,
    /// How fast displays are read from the start.
    pub pace: Pace,
    /// Whether the bytes of pictures are kept.
    pub keep_pictures: bool,
    /// Bytes that the kernel may keep for a display; TCP only.
    pub receive_buffer: Option<usize>,
    /// For each step of a link and of the session's start.
    pub limit: Duration,
}

impl Config {
    /// A client like spice-gtk 0.42 with all its decoders: one display, inputs and cursor.
    pub fn new(address: Address, password: &str) -> Self {
        Self {
            address,
            password: password.to_owned(),
            display_caps: Capabilities::from_words([0x6fbf]),
            displays: vec![0],
            inputs: true,
            cursor: true,
            reports: Reports::Honest,
            acks: true,
            pongs: true,
            init: true,
            pace: Pace::Free,
            keep_pictures: false,
            receive_buffer: None,
            limit: Duration::from_secs(10),
        }
    }

    /// Only these codecs, for a client that lacks decoders.
    pub fn set_codecs(&mut self, codecs: &[scanout_spice::wire::display::Codec]) {
        let all = Capabilities::from_words([0x6fbf]).word(0);
        let decoders =
            scanout_spice::wire::display::Codec::ALL.map(|codec| 1 << codec.capability() as u32);
        let word = all & !decoders.iter().fold(0, |word, bit| word | bit);
        let mut caps = Capabilities::from_words([word]);
        for codec in codecs {
            caps.insert(codec.capability());
        }
        caps.insert(DisplayCap::MultiCodec);
        self.display_caps = caps;
    }
}

/// Why a session did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A link failed.
    #[error("{channel_type:?} channel {channel_id}: {source}")]
    Link {
        /// The channel.
        channel_type: ChannelType,
        /// Which of several.
        channel_id: u8,
        /// Why.
        source: LinkFailure,
    },
    /// The session's first messages did not come.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The server has no such channel.
    #[error("the server lists {listed:?}, and not {wanted:?}")]
    NotListed {
        /// What it has.
        listed: Vec<ChannelId>,
        /// What was to be linked.
        wanted: ChannelId,
    },
}

/// A session.
#[derive(Debug)]
pub struct Client {
    init: MainInit,
    listed: Vec<ChannelId>,
    channels: Vec<Channel>,
    config: Config,
    clock: Arc<Clock>,
}

impl Client {
    /// Links main, waits for INIT and the list of channels, links the rest.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(config: &Config) -> Result<Self, ConnectError> {
        let clock = Arc::new(Clock::default());
        let (main, caps) = link_one(config, ChannelType::Main, 0, 0)?;
        let behaviour = behaviour(config, ChannelType::Main);
        let main = Channel::start(
            main,
            ChannelType::Main,
            0,
            caps,
            behaviour,
            Arc::clone(&clock),
        );
        let init = main.wait_for(config.limit, |log| {
            log.events().find_map(|event| match event {
                Event::Session(init) => Some(*init),
                _ => None,
            })
        })?;
        let listed = main.wait_for(config.limit, |log| {
            log.events().find_map(|event| match event {
                Event::Channels(channels) => Some(channels.clone()),
                _ => None,
            })
        })?;
        let mut client = Self {
            init,
            listed,
            channels: vec![main],
            config: config.clone(),
            clock,
        };
        for display in &config.displays {
            client.open(ChannelType::Display, *display)?;
        }
        for (wanted, channel_type) in [
            (config.inputs, ChannelType::Inputs),
            (config.cursor, ChannelType::Cursor),
        ] {
            if wanted {
                client.open(channel_type, 0)?;
            }
        }
        Ok(client)
    }

    /// Links one more channel.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn open(&mut self, channel_type: ChannelType, id: u8) -> Result<(), ConnectError> {
        let wanted = ChannelId { channel_type, id };
        if !self.listed.contains(&wanted) {
            return Err(ConnectError::NotListed {
                listed: self.listed.clone(),
                wanted,
            });
        }
        let (linked, caps) = link_one(&self.config, channel_type, id, self.init.session_id)?;
        let behaviour = behaviour(&self.config, channel_type);
        let channel = Channel::start(
            linked,
            channel_type,
            id,
            caps,
            behaviour,
            Arc::clone(&self.clock),
        );
        self.channels.push(channel);
        Ok(())
    }

    /// The session, as INIT said.
    pub fn init(&self) -> MainInit {
        self.init
    }

    /// The channels that the server has.
    pub fn listed(&self) -> &[ChannelId] {
        &self.listed
    }

    /// All channels that are linked; main is the first.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// A channel that is linked.
    pub fn channel(&self, channel_type: ChannelType, id: u8) -> Option<&Channel> {
        let mut channels = self.channels.iter();
        channels
            .find(|channel| channel.channel_type() == channel_type && channel.channel_id() == id)
    }

    /// A display.
    pub fn display(&self, id: u8) -> Option<&Channel> {
        self.channel(ChannelType::Display, id)
    }

    /// The inputs.
    pub fn inputs(&self) -> Option<&Channel> {
        self.channel(ChannelType::Inputs, 0)
    }

    /// What was wrong on any channel so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.channels.iter().flat_map(Channel::violations).collect()
    }

    /// Ends all channels, main last.
    pub fn close(mut self) {
        while let Some(mut channel) = self.channels.pop() {
            channel.close();
        }
    }
}

fn link_one(
    config: &Config,
    channel_type: ChannelType,
    channel_id: u8,
    connection_id: u32,
) -> Result<(Linked, Capabilities), ConnectError> {
    let mut request = Request::new(channel_type, channel_id, connection_id, &config.password);
    request.limit = config.limit;
    request.channel_caps = match channel_type {
        ChannelType::Main => Capabilities::of([
            MainCap::SemiSeamlessMigrate,
            MainCap::NameAndUuid,
            MainCap::AgentConnectedTokens,
            MainCap::SeamlessMigrate,
        ]),
        ChannelType::Display => config.display_caps,
        _ => Capabilities::default(),
    };
    if channel_type == ChannelType::Display {
        request.receive_buffer = config.receive_buffer;
    }
    match link(&config.address, &request) {
        Ok(linked) => Ok((linked, request.channel_caps)),
        Err(source) => Err(ConnectError::Link {
            channel_type,
            channel_id,
            source,
        }),
    }
}

fn behaviour(config: &Config, channel_type: ChannelType) -> Behaviour {
    let display = channel_type == ChannelType::Display;
    let mut first = Vec::new();
    if display && config.init {
        // The sizes of spice-gtk's caches.
        let init = DisplayInit {
            pixmap_cache_id: 1,
            pixmap_cache_size: 80 << 20,
            glz_dictionary_id: 1,
            glz_dictionary_window_size: 8 << 20,
        };
        DisplayClientMessage::Init(init).encode(&mut first);
    }
    Behaviour {
        pace: if display { config.pace } else { Pace::Free },
        reports: config.reports.clone(),
        acks: config.acks,
        pongs: config.pongs,
        keep_pictures: config.keep_pictures,
        first,
    }
}
