//! Collective operations over messages between pairs of ranks.

use super::Group;
use crate::error::Result;
use std::fmt::Debug;
use std::ops::Range;
use std::time::Duration;

/// How long a rank waits for the others in a step. All ranks begin a step at the same time.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Messages between this rank and each other rank.
pub trait Link: Debug + Send + Sync {
    /// Number of this rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// Sends and receives messages, and returns when all of them have arrived. Messages between two
    /// ranks arrive in the order in which they are sent. A message arrives whole or not at all. If no
    /// message arrives for the time `patience`, a rank does not answer. Without it, there is no limit.
    ///
    /// # Errors
    /// A rank that does not answer; a message of another length than that of its place.
    fn exchange(
        &self,
        sent: &[Message<&[u8]>],
        received: &mut [Message<&mut [u8]>],
        patience: Option<Duration>,
    ) -> Result<()>;
}

/// A message to or from another rank.
#[derive(Debug)]
pub struct Message<B> {
    /// The other rank.
    pub rank: usize,
    /// What is sent, or where what is received is put.
    pub bytes: B,
}

/// The collective operations of a [`Link`].
///
/// A sum is computed in two rounds. In the first one, each rank gets from every rank one piece of the
/// values, and adds the pieces in the order of the ranks. In the second one, it sends this sum to all. So
/// each rank sends twice the values in all, whatever their number (Thakur et al. 2005,
/// <https://doi.org/10.1177/1094342005051521>, section 4.5: reduce-scatter and allgather).
#[derive(Debug)]
pub struct Collectives<L> {
    link: L,
}

impl<L: Link> Collectives<L> {
    /// The operations of `link`.
    #[must_use]
    pub fn new(link: L) -> Self {
        Self { link }
    }

    fn others(&self) -> impl Iterator<Item = usize> + use<L> {
        let (rank, size) = (self.link.rank(), self.link.size());
        (0..size).filter(move |other| *other != rank)
    }

    /// Receives a message of a length that the sender tells first, from each rank of `from`, and sends
    /// `sent` to each rank of `to`.
    fn exchange_sized(
        &self,
        (to, sent): (&[usize], &[u8]),
        from: &[usize],
        patience: Option<Duration>,
    ) -> Result<Vec<Vec<u8>>> {
        let length = (sent.len() as u64).to_le_bytes();
        let mut lengths = vec![[0; 8]; from.len()];
        self.exchange(
            to.iter().map(|&rank| (rank, &length[..])),
            from,
            lengths.iter_mut().map(|l| &mut l[..]),
            patience,
        )?;
        let mut received: Vec<Vec<u8>> =
            lengths.into_iter().map(|length| vec![0; u64::from_le_bytes(length) as usize]).collect();
        self.exchange(
            to.iter().map(|&rank| (rank, sent)),
            from,
            received.iter_mut().map(|bytes| &mut bytes[..]),
            patience,
        )?;
        Ok(received)
    }

    fn exchange<'a>(
        &self,
        sent: impl Iterator<Item = (usize, &'a [u8])>,
        from: &[usize],
        places: impl Iterator<Item = &'a mut [u8]>,
        patience: Option<Duration>,
    ) -> Result<()> {
        let sent: Vec<_> = sent.map(|(rank, bytes)| Message { rank, bytes }).collect();
        let mut received: Vec<_> =
            from.iter().zip(places).map(|(&rank, bytes)| Message { rank, bytes }).collect();
        self.link.exchange(&sent, &mut received, patience)
    }
}

/// The part of `count` values that `rank` adds.
fn piece(count: usize, size: usize, rank: usize) -> Range<usize> {
    count * rank / size..count * (rank + 1) / size
}

impl<L: Link> Group for Collectives<L> {
    fn rank(&self) -> usize {
        self.link.rank()
    }

    fn size(&self) -> usize {
        self.link.size()
    }

    fn all_reduce(&self, values: &mut [f32]) -> Result<()> {
        let (rank, size, count) = (self.rank(), self.size(), values.len());
        let others: Vec<usize> = self.others().collect();
        let own = piece(count, size, rank);
        let mut pieces = vec![vec![0f32; own.len()]; others.len()];
        self.exchange(
            others.iter().map(|&other| (other, bytemuck::cast_slice(&values[piece(count, size, other)]))),
            &others,
            pieces.iter_mut().map(|piece| bytemuck::cast_slice_mut(piece)),
            Some(PATIENCE),
        )?;
        // In the order of the ranks, wherever this rank stands.
        pieces.insert(rank, values[own.clone()].to_vec());
        let mut pieces = pieces.into_iter();
        let mut sum = pieces.next().unwrap_or_default();
        for piece in pieces {
            for (sum, value) in sum.iter_mut().zip(piece) {
                *sum += value;
            }
        }
        values[own].copy_from_slice(&sum);
        let mut rest = vec![];
        let mut after = values;
        for other in 0..size {
            let (piece, below) = after.split_at_mut(piece(count, size, other).len());
            after = below;
            if other != rank {
                rest.push(piece);
            }
        }
        self.exchange(
            others.iter().map(|&other| (other, bytemuck::cast_slice(&sum))),
            &others,
            rest.into_iter().map(bytemuck::cast_slice_mut),
            Some(PATIENCE),
        )
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        if self.rank() == 0 {
            let others: Vec<usize> = self.others().collect();
            self.exchange_sized((&others, bytes), &[], Some(PATIENCE))?;
        } else {
            *bytes = self.exchange_sized((&[], &[]), &[0], None)?.pop().unwrap_or_default();
        }
        Ok(())
    }

    fn gather(&self, bytes: &[u8], patience: Option<Duration>) -> Result<Vec<Vec<u8>>> {
        if self.rank() != 0 {
            return self.exchange_sized((&[0], bytes), &[], None);
        }
        let others: Vec<usize> = self.others().collect();
        let mut all = self.exchange_sized((&[], &[]), &others, patience)?;
        all.insert(0, bytes.to_vec());
        Ok(all)
    }

    fn barrier(&self) -> Result<()> {
        self.all_reduce(&mut vec![0.; self.size()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::LocalLink;

    /// Calls `f` as each of `size` ranks.
    fn as_ranks<T: Send>(size: usize, f: impl Fn(&dyn Group) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let ranks = LocalLink::group(size).into_iter().map(Collectives::new);
            let threads: Vec<_> = ranks.map(|rank| scope.spawn(|| f(&{ rank }))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn every_rank_gets_the_sums_in_the_order_of_the_ranks() {
        for size in 1..=5 {
            for count in [0, 1, 3, 64, 1001] {
                let value = |rank: usize, i: usize| {
                    ((rank * 31 + i * 7) as f32).sin() * [1., 1e3, 1e-2, 1e5, 7.][rank]
                };
                let sums = as_ranks(size, |group| {
                    let mut values: Vec<f32> = (0..count).map(|i| value(group.rank(), i)).collect();
                    group.all_reduce(&mut values).unwrap();
                    values
                });
                let expected: Vec<f32> = (0..count)
                    .map(|i| (1..size).fold(value(0, i), |sum, rank| sum + value(rank, i)))
                    .collect();
                assert!(sums.iter().all(|sums| *sums == expected), "{size} ranks, {count} values");
            }
        }
    }

    #[test]
    fn a_rank_that_does_not_answer_is_not_waited_for() {
        let problems = as_ranks(3, |group| match group.rank() {
            0 => group.gather(&[], Some(Duration::from_millis(50))).unwrap_err().to_string(),
            1 => group.gather(&[1, 2], None).map(|_| String::new()).unwrap(),
            // The link must not end, which would be seen at once.
            _ => {
                std::thread::sleep(Duration::from_secs(1));
                String::new()
            }
        });
        assert!(problems[0].starts_with("rank 2: no answer"), "{problems:?}");
    }

    #[test]
    fn bytes_reach_the_ranks_they_are_for() {
        let found = as_ranks(4, |group| {
            let mut bytes = vec![group.rank() as u8; group.rank() + 2];
            let gathered = group.gather(&bytes, None).unwrap();
            group.broadcast(&mut bytes).unwrap();
            group.barrier().unwrap();
            (gathered, bytes)
        });
        for (rank, (gathered, bytes)) in found.into_iter().enumerate() {
            assert_eq!(bytes, [0, 0]);
            let all: Vec<Vec<u8>> = (0..4).map(|rank| vec![rank as u8; rank + 2]).collect();
            assert_eq!(gathered, if rank == 0 { all } else { vec![] });
        }
    }
}
