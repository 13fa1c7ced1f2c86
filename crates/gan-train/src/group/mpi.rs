//! Ranks that are processes, which `mpirun` started.

use super::{Collectives, Link, Message};
use crate::error::{Result, TrainError};
use mpi::Threading;
use mpi::environment::Universe;
use mpi::request::{LocalScope, Request, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Source};
use std::time::{Duration, Instant};

/// Bytes of the longest message. MPI counts them with 31 bits.
const LONGEST: usize = 1 << 30;
/// For this time a rank asks again and again whether a message has come. Then it sleeps between its
/// questions, because another rank may need the core.
const EAGER: Duration = Duration::from_millis(2);
const NAP: Duration = Duration::from_micros(100);

/// The link of this process to the others.
#[derive(Debug)]
pub struct MpiLink {
    rank: usize,
    size: usize,
    report: fn(&TrainError),
}

/// Joins the processes that `mpirun` started together with this one. MPI ends when the first value is
/// dropped. `report` is called before the program ends because a rank does not answer: MPI cannot take back
/// a message that it is still waiting for.
///
/// # Errors
/// MPI cannot be initialised, or was before.
pub fn join(report: fn(&TrainError)) -> Result<(Universe, Collectives<MpiLink>)> {
    let joined = mpi::initialize_with_threading(Threading::Funneled);
    let (universe, _) = joined.ok_or_else(|| TrainError::rank(0, "MPI was initialised before"))?;
    let world = universe.world();
    let [rank, size] = [world.rank(), world.size()].map(|number| number.unsigned_abs() as usize);
    Ok((universe, Collectives::new(MpiLink { rank, size, report })))
}

/// Ends the processes of all ranks with this exit code.
pub fn abort(code: i32) -> ! {
    SimpleCommunicator::world().abort(code)
}

impl Link for MpiLink {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(
        &self,
        sent: &[Message<&[u8]>],
        received: &mut [Message<&mut [u8]>],
        patience: Option<Duration>,
    ) -> Result<()> {
        scope(|scope| {
            let mut open = begin(scope, sent, received);
            let mut last = Instant::now();
            while let Some((rank, _)) = open.first() {
                let (rank, before, waited) = (*rank, open.len(), last.elapsed());
                open = unfinished(open);
                if open.len() < before {
                    last = Instant::now();
                } else if let Some(patience) = patience.filter(|patience| waited > *patience) {
                    (self.report)(&TrainError::silent(rank, patience));
                    abort(1);
                } else if waited > EAGER {
                    std::thread::sleep(NAP);
                } else {
                    std::thread::yield_now();
                }
            }
        });
        Ok(())
    }
}

/// A message on its way, with the other rank.
type OnItsWay<'a, 's> = (usize, Request<'a, [u8], &'s LocalScope<'a>>);

/// Begins to receive and to send.
fn begin<'a, 's>(
    scope: &'s LocalScope<'a>,
    sent: &'a [Message<&[u8]>],
    received: &'a mut [Message<&mut [u8]>],
) -> Vec<OnItsWay<'a, 's>> {
    let world = SimpleCommunicator::world();
    let process = |rank: usize| world.process_at_rank(i32::try_from(rank).unwrap_or(i32::MAX));
    let mut open = vec![];
    for Message { rank, bytes } in received {
        for piece in bytes.chunks_mut(LONGEST) {
            open.push((*rank, process(*rank).immediate_receive_into(scope, piece)));
        }
    }
    for Message { rank, bytes } in sent {
        for piece in bytes.chunks(LONGEST) {
            open.push((*rank, process(*rank).immediate_send(scope, piece)));
        }
    }
    open
}

/// The messages that have not arrived.
fn unfinished<'a, 's>(open: Vec<OnItsWay<'a, 's>>) -> Vec<OnItsWay<'a, 's>> {
    let mut unfinished = vec![];
    for (rank, request) in open {
        if let Err(request) = request.test() {
            unfinished.push((rank, request));
        }
    }
    unfinished
}
