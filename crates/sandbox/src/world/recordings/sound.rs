//! The sound of a recording: nobody spoke, so there is a soft tone as WAV, and silence as MP3.
//!
//! Both are as long as the recording says, up to ten minutes; a request for a longer one would be answered with
//! hundreds of megabytes of nothing.

use bytes::Bytes;

use super::{Recording, State};

const SECONDS_MAX: u64 = 600;
/// Twilio's recordings have 8,000 samples of 16 bits a second.
const SAMPLES_A_SECOND: u32 = 8000;
const BYTES_A_SAMPLE: u16 = 2;

/// One period of 400 Hz: a sine of 20 samples, at a thirtieth of what fits.
const PERIOD: [i16; 20] = [
    0, 309, 588, 809, 951, 1000, 951, 809, 588, 309, 0, -309, -588, -809, -951, -1000, -951, -809, -588, -309,
];

/// A frame of silence: MPEG 2.5 Layer III, 8 kbit/s, 8,000 samples a second, one channel, no CRC (ISO 11172-3, 2.4.1.3).
/// What follows the header is zeros: no bit of a sample.
const MP3_HEADER: [u8; 4] = [0xff, 0xe3, 0x18, 0xc4];
const MP3_FRAME_BYTES: usize = 72;
/// A frame lasts this long.
const MP3_FRAME_MS: u64 = 72;

impl Recording {
    /// A file with one channel or two.
    pub(crate) fn wav(&self) -> Bytes {
        let block = BYTES_A_SAMPLE * u16::from(self.channels);
        let samples = self.sounding_s() * u64::from(SAMPLES_A_SECOND);
        let data_bytes = u32::try_from(samples * u64::from(block)).unwrap_or(0);
        let mut file = Vec::with_capacity(44 + data_bytes as usize);
        file.extend(b"RIFF");
        file.extend((36 + data_bytes).to_le_bytes());
        file.extend(b"WAVEfmt ");
        file.extend(16_u32.to_le_bytes());
        file.extend(1_u16.to_le_bytes()); // PCM
        file.extend(u16::from(self.channels).to_le_bytes());
        file.extend(SAMPLES_A_SECOND.to_le_bytes());
        file.extend((SAMPLES_A_SECOND * u32::from(block)).to_le_bytes());
        file.extend(block.to_le_bytes());
        file.extend((BYTES_A_SAMPLE * 8).to_le_bytes());
        file.extend(b"data");
        file.extend(data_bytes.to_le_bytes());
        let periods = samples / PERIOD.len() as u64;
        for _ in 0..periods {
            for sample in PERIOD {
                for _ in 0..self.channels {
                    file.extend(sample.to_le_bytes());
                }
            }
        }
        file.into()
    }

    /// One channel of silence.
    pub(crate) fn mp3(&self) -> Bytes {
        let frames = usize::try_from((self.sounding_s() * 1000).div_ceil(MP3_FRAME_MS)).unwrap_or(0);
        let mut frame = [0_u8; MP3_FRAME_BYTES];
        frame[..MP3_HEADER.len()].copy_from_slice(&MP3_HEADER);
        frame.repeat(frames).into()
    }

    fn sounding_s(&self) -> u64 {
        match self.state {
            State::Completed { duration_s } => duration_s.min(SECONDS_MAX),
            State::Running { .. } | State::Paused { .. } | State::Absent => 0,
        }
    }
}
