//! Ranks that are threads of one process, for tests of what several ranks do.

use super::collectives::{Link, Message};
use crate::error::{Result, TrainError};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The link of one thread to the others.
#[derive(Debug)]
pub struct LocalLink {
    rank: usize,
    /// A channel to each rank, and one from each rank.
    to: Vec<Sender<Vec<u8>>>,
    from: Mutex<Vec<Receiver<Vec<u8>>>>,
}

impl LocalLink {
    /// Makes the links of `size` ranks, in order.
    #[must_use]
    pub fn group(size: usize) -> Vec<Self> {
        let mut from: Vec<Vec<Receiver<_>>> = (0..size).map(|_| vec![]).collect();
        let to: Vec<Vec<Sender<_>>> = (0..size)
            .map(|_| {
                let ends = from.iter_mut().map(|from| {
                    let (sender, receiver) = channel();
                    from.push(receiver);
                    sender
                });
                ends.collect()
            })
            .collect();
        let link = |(rank, (to, from))| Self { rank, to, from: Mutex::new(from) };
        to.into_iter().zip(from).enumerate().map(link).collect()
    }
}

impl Link for LocalLink {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(
        &self,
        sent: &[Message<&[u8]>],
        received: &mut [Message<&mut [u8]>],
        patience: Option<Duration>,
    ) -> Result<()> {
        let gone = |rank| TrainError::rank(rank, "it has ended");
        for Message { rank, bytes } in sent {
            self.to[*rank].send(bytes.to_vec()).map_err(|_| gone(*rank))?;
        }
        let from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        for Message { rank, bytes } in received {
            let message = match patience {
                None => from[*rank].recv().map_err(|_| gone(*rank))?,
                Some(patience) => from[*rank].recv_timeout(patience).map_err(|error| match error {
                    RecvTimeoutError::Timeout => TrainError::silent(*rank, patience),
                    RecvTimeoutError::Disconnected => gone(*rank),
                })?,
            };
            if message.len() != bytes.len() {
                let problem = format!("expected {} bytes, found {}", bytes.len(), message.len());
                return Err(TrainError::rank(*rank, problem));
            }
            bytes.copy_from_slice(&message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_that_has_ended_or_is_silent_is_named() {
        let mut links = LocalLink::group(3);
        drop(links.remove(1));
        let mut place = [0; 4];
        let problem =
            links[0].exchange(&[], &mut [Message { rank: 1, bytes: &mut place }], None).unwrap_err();
        assert_eq!(problem.to_string(), "rank 1: it has ended");
        let short = Some(Duration::from_millis(10));
        let problem =
            links[0].exchange(&[], &mut [Message { rank: 2, bytes: &mut place }], short).unwrap_err();
        assert_eq!(problem.to_string(), "rank 2: no answer for 0 s");
        links[1].exchange(&[Message { rank: 0, bytes: &[1, 2] }], &mut [], None).unwrap();
        let problem =
            links[0].exchange(&[], &mut [Message { rank: 2, bytes: &mut place }], short).unwrap_err();
        assert_eq!(problem.to_string(), "rank 2: expected 4 bytes, found 2");
    }
}
