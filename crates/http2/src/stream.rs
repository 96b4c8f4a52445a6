//! One stream, and the streams of a connection.

use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

use crate::{
    code::{ErrorCode, Fault, StreamError},
    fields::Fields,
    flow::Credit,
    message::Response,
};

/// How far one direction of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// No final head yet.
    Head,
    Body,
    Ended,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Content, whose length may be said.
    Usual,
    /// None, as for HEAD; the length that is said is that of a GET.
    Empty,
    /// A tunnel, as for CONNECT.
    Tunnel,
}

/// A stream that somebody on our side holds.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    /// What the peer sends.
    pub(crate) receiving: Half,
    /// What we send.
    pub(crate) sending: Half,
    /// Why it ended before its time. What came before can still be read.
    pub(crate) error: Option<StreamError>,
    pub(crate) answer: Answer,
    /// Heads of the answer that were not taken.
    pub(crate) responses: VecDeque<Response>,
    pub(crate) inbox: Inbox,
    /// Bytes of the content that its length still promises.
    pub(crate) promised: Option<u64>,
    pub(crate) trailers: Option<Fields>,
    pub(crate) credit: Credit,
    /// Bytes that were read and not given back: more may come once these were used.
    pub(crate) in_use: u32,
    /// Bytes that we may send; below zero where the peer made its window smaller.
    pub(crate) window: i64,
    /// There is something to send that waits for a window or for room.
    pub(crate) blocked: bool,
    /// The task that holds the stream.
    waker: Option<Waker>,
}

/// Content that came and was not read.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    read: usize,
}

impl Inbox {
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        // A reader that never comes to the end would make it hold all that ever came.
        if self.read > 0 && self.read >= self.len() {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves bytes into `space`; gives their number.
    pub(crate) fn take(&mut self, space: &mut [u8]) -> usize {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        let count = rest.len().min(space.len());
        if let (Some(space), Some(piece)) = (space.get_mut(..count), rest.get(..count)) {
            space.copy_from_slice(piece);
        }
        self.read = self.read.saturating_add(count);
        if self.read >= self.bytes.len() {
            // A stream that waits for more holds no memory for it.
            *self = Self::default();
        }
        count
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.read)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Stream {
    pub(crate) fn new(id: u32, credit: Credit, window: i64) -> Self {
        Self {
            id,
            receiving: Half::Head,
            sending: Half::Head,
            error: None,
            answer: Answer::Usual,
            responses: VecDeque::new(),
            inbox: Inbox::default(),
            promised: None,
            trailers: None,
            credit,
            in_use: 0,
            window,
            blocked: false,
            waker: None,
        }
    }

    /// The peer's side has come to its end.
    pub(crate) fn end_receiving(&mut self) -> Result<(), Fault> {
        if self.promised.is_some_and(|left| left > 0) {
            return Err(Fault::Stream(self.id, ErrorCode::PROTOCOL_ERROR));
        }
        self.receiving = Half::Ended;
        self.wake();
        Ok(())
    }

    /// Takes `bytes` of content off what the length promised.
    pub(crate) fn keep_promise(&mut self, bytes: usize) -> Result<(), Fault> {
        if let Some(promised) = &mut self.promised {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let broken = Fault::Stream(self.id, ErrorCode::PROTOCOL_ERROR);
            *promised = promised.checked_sub(bytes).ok_or(broken)?;
        }
        Ok(())
    }

    /// Ends it before its time. The first reason stays.
    pub(crate) fn fail(&mut self, error: StreamError) {
        self.error.get_or_insert(error);
        self.wake();
    }

    /// The peer has more to send, and may.
    pub(crate) fn wants_more(&self) -> bool {
        self.error.is_none() && self.receiving != Half::Ended
    }

    /// Both sides came to their end, or it failed.
    pub(crate) fn is_over(&self) -> bool {
        self.error.is_some() || (self.receiving == Half::Ended && self.sending == Half::Ended)
    }

    pub(crate) fn wake_by(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// The streams of a connection, each at a place of its own: those that begin and end move none.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Identifiers and places, in the order of the identifiers, which is that of the beginnings.
    order: Vec<(u32, usize)>,
    places: Vec<Option<Stream>>,
    free: Vec<usize>,
}

/// Places that are kept when no stream is left.
const PLACES_KEPT: usize = 2;

impl Streams {
    fn find(&self, id: u32) -> Result<usize, usize> {
        self.order.binary_search_by_key(&id, |(id, _)| *id)
    }

    fn place(&self, id: u32) -> Option<usize> {
        self.order.get(self.find(id).ok()?).map(|(_, place)| *place)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Stream> {
        self.places.get(self.place(id)?)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        let place = self.place(id)?;
        self.places.get_mut(place)?.as_mut()
    }

    pub(crate) fn insert(&mut self, stream: Stream) {
        let id = stream.id;
        let Err(at) = self.find(id) else {
            debug_assert!(false, "a stream begins once");
            return;
        };
        let free = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(free) {
            Some(place) => *place = Some(stream),
            None => self.places.push(Some(stream)),
        }
        self.order.insert(at, (id, free));
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Stream> {
        let (_, place) = self.order.remove(self.find(id).ok()?);
        let stream = self.places.get_mut(place)?.take();
        if !self.order.is_empty() {
            self.free.push(place);
        } else if self.places.len() > PLACES_KEPT {
            *self = Self::default();
        } else {
            self.places.clear();
            self.free.clear();
        }
        stream
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.places.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.places.iter_mut().flatten()
    }

    /// Does something with those from `first` on, and then with the ones before, in their order.
    pub(crate) fn each_from(&mut self, first: u32, mut act: impl FnMut(&mut Stream)) {
        let at = self.find(first).unwrap_or_else(|at| at);
        let (before, behind) = self.order.split_at(at.min(self.order.len()));
        for (_, place) in behind.iter().chain(before) {
            if let Some(Some(stream)) = self.places.get_mut(*place) {
                act(stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: u32) -> Stream {
        Stream::new(id, Credit::new(65_535), 65_535)
    }

    #[test]
    fn streams_are_found_by_their_identifier() {
        let mut streams = Streams::default();
        for id in [1, 3, 7, 9] {
            streams.insert(stream(id));
        }
        assert_eq!(streams.get(7).map(|stream| stream.id), Some(7));
        assert!(streams.get(5).is_none());
        let mut order = Vec::new();
        streams.each_from(4, |stream| order.push(stream.id));
        assert_eq!(order, [7, 9, 1, 3]);
        assert_eq!(streams.remove(3).map(|stream| stream.id), Some(3));
        assert!(streams.remove(3).is_none());
        assert_eq!(streams.len(), 3);
        streams.insert(stream(11));
        assert_eq!(streams.places.len(), 4, "places are used again");
        assert_eq!(streams.iter().count(), 4);
        for id in [1, 7, 9, 11] {
            assert_eq!(streams.remove(id).map(|stream| stream.id), Some(id));
        }
        assert_eq!((streams.is_empty(), streams.places.capacity()), (true, 0));
    }

    #[test]
    fn an_inbox_gives_what_it_got() {
        let mut inbox = Inbox::default();
        inbox.put(b"abc");
        inbox.put(b"de");
        let mut space = [0; 4];
        assert_eq!((inbox.take(&mut space), &space), (4, b"abcd"));
        assert_eq!(inbox.len(), 1);
        assert_eq!((inbox.take(&mut space), space[0]), (1, b'e'));
        assert!(inbox.is_empty());
        assert_eq!(inbox.take(&mut space), 0);
    }

    #[test]
    fn an_inbox_that_is_never_empty_does_not_grow() {
        let mut inbox = Inbox::default();
        inbox.put(&[0; 1000]);
        for _ in 0..10_000 {
            inbox.put(&[0; 700]);
            assert_eq!(inbox.take(&mut [0; 700]), 700);
        }
        assert_eq!(inbox.len(), 1000);
        assert!(inbox.bytes.capacity() < 8_000, "{}", inbox.bytes.capacity());
    }

    #[test]
    fn content_keeps_to_its_length() {
        let mut one = stream(1);
        one.promised = Some(3);
        assert_eq!(one.keep_promise(2), Ok(()));
        assert!(one.end_receiving().is_err());
        assert!(one.keep_promise(2).is_err());
    }
}
