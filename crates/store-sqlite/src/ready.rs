//! A batch as it waits for the writer: prepared, and its bodies as they will be stored.

use std::borrow::Cow;
use std::sync::Arc;

use tracekeep_core::body::Body;
use tracekeep_store::Prepared;

use crate::codec;

/// A batch of which nothing is left to do on its caller's thread.
pub(crate) struct Ready {
    prepared: Prepared,
    /// For each op, the frame of its body.
    frames: Vec<Option<Box<[u8]>>>,
}

impl Ready {
    pub(crate) fn new(prepared: Prepared) -> Self {
        let frames = prepared.bodies().map(codec::pack).collect();
        Self { prepared, frames }
    }

    pub(crate) const fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Bytes of bodies and frames: what the batch weighs in a queue.
    pub(crate) fn bytes(&self) -> u64 {
        let frames: usize = self.frames.iter().flatten().map(|frame| frame.len()).sum();
        self.prepared.body_bytes() + frames as u64
    }

    /// The bodies with their frames, in the order of the ops.
    pub(crate) fn packed(&self) -> impl Iterator<Item = (&Body, Option<&[u8]>)> + Clone {
        self.prepared.bodies().zip(self.frames.iter().map(Option::as_deref))
    }
}

/// The frame of a body that is to be written, looked for among those `left` of its batch, which is left behind it.
///
/// A plan's entries hold the batch's own bodies in the batch's order, without those of duplicates; a body that the plan
/// itself made is packed here.
pub(crate) fn frame_of<'a>(
    left: &mut (impl Iterator<Item = (&'a Body, Option<&'a [u8]>)> + Clone),
    body: &Body,
) -> Option<Cow<'a, [u8]>> {
    let mut ahead = left.clone();
    match ahead.find(|(own, _)| Arc::ptr_eq(own.text(), body.text())) {
        Some((_, frame)) => {
            *left = ahead;
            frame.map(Cow::Borrowed)
        }
        None => codec::pack(body).map(|frame| Cow::Owned(frame.into())),
    }
}
