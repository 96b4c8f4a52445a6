//! Access log: JSON lines, formatted by workers, written by one thread that never blocks them.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http1::word::{HIGH, below, equal};
use ir::{ClusterId, ObjectRef, Revision};

/// Where access log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere; nothing is formatted.
    #[default]
    Off,
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// The thread that writes; ends when every sink is gone.
pub(crate) struct Writer {
    sender: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    failed: Arc<AtomicU64>,
}

impl Writer {
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn start(log: &AccessLog, queue: usize) -> io::Result<Self> {
        let failed = Arc::new(AtomicU64::new(0));
        let target: Box<dyn Write + Send> = match log {
            AccessLog::Off => return Ok(Self { sender: None, thread: None, failed }),
            AccessLog::Stdout => Box::new(io::stdout()),
            AccessLog::File(path) => Box::new(append(path)?),
        };
        let (sender, receiver) = sync_channel(queue);
        let count = Arc::clone(&failed);
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(&receiver, target, &count))?;
        Ok(Self { sender: Some(sender), thread: Some(thread), failed })
    }

    pub(crate) fn sink(&self, batch: usize) -> Sink {
        Sink {
            sender: self.sender.clone(),
            batch: RefCell::default(),
            batch_size: batch,
            lines: Cell::new(0),
            dropped: Cell::new(0),
            calendar: Calendar::default(),
        }
    }

    /// Batches that the target refused (a full disk, say).
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Waits until what was handed over is written. To be called after every sink is dropped.
    pub(crate) fn finish(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the access log writer ended with a panic");
        }
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_all(receiver: &Receiver<Vec<u8>>, mut target: Box<dyn Write + Send>, failed: &AtomicU64) {
    while let Ok(batch) = receiver.recv() {
        if target.write_all(&batch).and_then(|()| target.flush()).is_err() {
            failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A worker's end of the log.
pub(crate) struct Sink {
    sender: Option<SyncSender<Vec<u8>>>,
    batch: RefCell<Vec<u8>>,
    batch_size: usize,
    lines: Cell<u64>,
    dropped: Cell<u64>,
    calendar: Calendar,
}

impl Sink {
    pub(crate) fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// The date for a response head.
    pub(crate) fn http_date<T>(&self, now: Instant, with: impl FnOnce(&str) -> T) -> T {
        self.calendar.http_date(now, with)
    }

    /// Lines lost because the writer was behind.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Formats one line with `fill`, which gets an open JSON object.
    pub(crate) fn line(&self, now: Instant, fill: impl FnOnce(&mut Line<'_>)) {
        if !self.is_on() {
            return;
        }
        let mut batch = self.batch.borrow_mut();
        if batch.capacity() == 0 {
            batch.reserve(self.batch_size.saturating_add(2048));
        }
        batch.extend_from_slice(b"{\"time\":\"");
        self.calendar.write(now, &mut batch);
        batch.push(b'"');
        fill(&mut Line { out: &mut batch });
        batch.extend_from_slice(b"}\n");
        self.lines.set(self.lines.get().saturating_add(1));
        let full = batch.len() >= self.batch_size;
        drop(batch);
        if full {
            self.flush();
        }
    }

    /// Hands over what was collected; drops it when the writer is behind.
    pub(crate) fn flush(&self) {
        let Some(sender) = &self.sender else { return };
        if self.batch.borrow().is_empty() {
            return;
        }
        let lines = self.lines.replace(0);
        if sender.try_send(self.batch.take()).is_err() {
            self.dropped.set(self.dropped.get().saturating_add(lines));
        }
    }
}

/// An open JSON object.
pub(crate) struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    /// `name` must need no escape.
    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(crate) fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        escape(value, self.out);
        self.out.push(b'"');
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        push_decimal(value, self.out);
    }

    /// Texts one after another.
    pub(crate) fn joined(&mut self, name: &str, parts: &[&str]) {
        self.name(name);
        self.out.push(b'"');
        parts.iter().for_each(|part| escape(part.as_bytes(), self.out));
        self.out.push(b'"');
    }

    /// A number where names may stand, too.
    pub(crate) fn position(&mut self, name: &str, value: u32) {
        self.name(name);
        self.out.push(b'"');
        push_decimal(u64::from(value), self.out);
        self.out.push(b'"');
    }

    /// As [`Line::display`] would write it; IPv4 without the machinery of formatting.
    pub(crate) fn address(&mut self, name: &str, value: SocketAddr) {
        let SocketAddr::V4(address) = value else { return self.display(name, value) };
        self.name(name);
        let mut before = b'"';
        for octet in address.ip().octets() {
            self.out.push(before);
            push_octet(octet, self.out);
            before = b'.';
        }
        self.out.push(b':');
        push_decimal(u64::from(address.port()), self.out);
        self.out.push(b'"');
    }

    /// As [`ObjectRef`] shows itself. This and the two that follow are in every line, where the
    /// formatter of the standard library would take more than everything else.
    pub(crate) fn object(&mut self, name: &str, object: &ObjectRef) {
        let ObjectRef { kind, namespace, name: own, .. } = object;
        if namespace.is_empty() {
            self.joined(name, &[kind, " ", own]);
        } else {
            self.joined(name, &[kind, " ", namespace, "/", own]);
        }
    }

    /// As [`ClusterId`] shows itself.
    pub(crate) fn cluster(&mut self, name: &str, cluster: &ClusterId) {
        let backend = &cluster.0.backend;
        self.joined(name, &[&backend.namespace, "/", &backend.name, ":"]);
        self.out.pop();
        push_decimal(u64::from(cluster.0.port), self.out);
        self.out.push(b'"');
    }

    /// As [`Revision`] shows itself.
    pub(crate) fn revision(&mut self, name: &str, revision: Revision) {
        self.name(name);
        self.out.push(b'"');
        push_decimal(revision.epoch, self.out);
        self.out.push(b'.');
        push_decimal(revision.sequence, self.out);
        self.out.push(b'"');
    }

    pub(crate) fn display(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        self.out.push(b'"');
        if write!(Escaping(self.out), "{value}").is_err() {
            tracing::debug!("a log value failed to format");
        }
        self.out.push(b'"');
    }

    /// Microseconds, written as milliseconds with three decimals.
    pub(crate) fn millis(&mut self, name: &str, duration: Duration) {
        self.name(name);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let rest = micros % 1000;
        push_decimal(micros / 1000, self.out);
        self.out.push(b'.');
        for digit in [rest / 100, rest / 10 % 10, rest % 10] {
            self.out.push(b'0'.saturating_add(u8::try_from(digit).unwrap_or(0)));
        }
    }
}

struct Escaping<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        escape(text.as_bytes(), self.0);
        Ok(())
    }
}

/// Whether a byte must be escaped: all but printable ASCII, quotes and backslashes.
fn is_odd(byte: u8) -> bool {
    !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\'
}

/// Whether one of eight bytes is odd.
fn has_odd(bytes: [u8; 8]) -> bool {
    let word = u64::from_le_bytes(bytes);
    let quotes = equal(word, b'"') | equal(word, b'\\');
    below(word, 0x20) | quotes | equal(word, 0x7f) | (word & HIGH) != 0
}

/// Writes `value` as the inside of a JSON string of plain ASCII: control bytes, quotes and
/// everything above 0x7e are escaped, byte by byte where it is not UTF-8, so that no client can
/// write a line or a terminal sequence of its own into the log.
fn escape(value: &[u8], out: &mut Vec<u8>) {
    let (words, rest) = value.as_chunks::<8>();
    if !words.iter().any(|word| has_odd(*word)) && !rest.iter().any(|byte| is_odd(*byte)) {
        out.extend_from_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                ' '..='~' => out.push(u8::try_from(character).unwrap_or(b'?')),
                _ => {
                    let mut units = [0u16; 2];
                    for unit in character.encode_utf16(&mut units) {
                        push_escape(*unit, out);
                    }
                }
            }
        }
        for byte in chunk.invalid() {
            push_escape(u16::from(*byte), out);
        }
    }
}

fn push_escape(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = u32::from((unit >> shift) & 0xf);
        out.push(char::from_digit(digit, 16).map_or(b'0', |c| u8::try_from(c).unwrap_or(b'0')));
    }
}

/// Appends a part of an IPv4 address in decimal.
fn push_octet(value: u8, out: &mut Vec<u8>) {
    for (least, digit) in [(100, value / 100), (10, value / 10 % 10), (0, value % 10)] {
        if value >= least {
            out.push(b'0'.saturating_add(digit));
        }
    }
}

/// Appends `value` in decimal.
pub(crate) fn push_decimal(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut rest = value;
    let mut used = 0usize;
    for place in digits.iter_mut().rev() {
        *place = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        used = used.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len().saturating_sub(used)..).unwrap_or_default());
}

/// Wall-clock time from the monotonic clock; the second's text is made once per second.
#[derive(Default)]
pub(crate) struct Calendar {
    /// A monotonic instant and the wall-clock milliseconds that belong to it.
    anchor: Cell<Option<(Instant, u64)>>,
    second: Cell<u64>,
    log_text: RefCell<String>,
    http_text: RefCell<String>,
}

impl Calendar {
    /// `2026-11-21T10:56:20.123Z`
    fn write(&self, now: Instant, out: &mut Vec<u8>) {
        let millis = self.millis(now);
        self.format(millis / 1000);
        out.extend_from_slice(self.log_text.borrow().as_bytes());
        let rest = millis % 1000;
        out.push(b'.');
        for digit in [rest / 100, rest / 10 % 10, rest % 10] {
            out.push(b'0'.saturating_add(u8::try_from(digit).unwrap_or(0)));
        }
        out.push(b'Z');
    }

    /// `Sat, 21 Nov 2026 10:56:20 GMT` (RFC 9110 5.6.7), given to `with`.
    pub(crate) fn http_date<T>(&self, now: Instant, with: impl FnOnce(&str) -> T) -> T {
        self.format(self.millis(now) / 1000);
        with(&self.http_text.borrow())
    }

    /// Milliseconds since the epoch; anchored anew every second, since the wall clock may jump.
    fn millis(&self, now: Instant) -> u64 {
        if let Some((instant, millis)) = self.anchor.get() {
            let since = now.saturating_duration_since(instant).as_millis();
            if since < 1000 {
                return millis.saturating_add(u64::try_from(since).unwrap_or(0));
            }
        }
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(wall.as_millis()).unwrap_or(0);
        self.anchor.set(Some((now, millis)));
        millis
    }

    fn format(&self, second: u64) {
        if self.second.get() == second && !self.log_text.borrow().is_empty() {
            return;
        }
        self.second.set(second);
        let (year, month, day) = civil_from_days(second / 86_400);
        let (hour, minute, sec) = (second / 3600 % 24, second / 60 % 60, second % 60);
        self.log_text
            .replace(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{sec:02}"));
        let weekday = usize::try_from((second / 86_400 + 4) % 7).unwrap_or(0);
        let weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].get(weekday).unwrap_or(&"");
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let name =
            usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
        self.http_text.replace(format!(
            "{weekday}, {day:02} {name} {year:04} {hour:02}:{minute:02}:{sec:02} GMT"
        ));
    }
}

/// Year, month (from 1) and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_number_becomes_its_calendar_date() {
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
        assert_eq!(civil_from_days(20_778), (2026, 11, 21));
    }

    #[test]
    fn a_log_value_cannot_leave_its_string() {
        let mut out = Vec::new();
        escape(b"a\"b\\c\r\n\x1b[31m\xff\xc3\xa9", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\\\"b\\\\c\\u000d\\u000a\\u001b[31m\\u00ff\\u00e9"
        );
    }

    #[test]
    fn a_byte_is_escaped_wherever_it_stands() {
        for byte in 0..=255u8 {
            for at in 0..20usize {
                let mut value = vec![b'a'; 20];
                value[at] = byte;
                let mut out = Vec::new();
                escape(&value, &mut out);
                assert_eq!(out == value, !is_odd(byte), "{byte:#x} at {at}");
            }
        }
        assert!(
            (0..=255)
                .filter(|byte| !is_odd(*byte))
                .eq((b' '..=b'~').filter(|b| !b"\"\\".contains(b)))
        );
    }

    #[test]
    fn names_are_written_as_they_show_themselves() {
        let route = ObjectRef::new("gateway.networking.k8s.io", "HTTPRoute", "shop", "web");
        let class = ObjectRef::new("gateway.networking.k8s.io", "GatewayClass", "", "edge");
        let revision = Revision { epoch: 7, sequence: 1234 };
        let address: SocketAddr = "10.0.199.250:65535".parse().unwrap();
        let mut out = Vec::new();
        let mut line = Line { out: &mut out };
        line.object("route", &route);
        line.object("class", &class);
        line.revision("revision", revision);
        line.address("client", address);
        let want = format!(
            r#","route":"{route}","class":"{class}","revision":"{revision}","client":"{address}""#
        );
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn a_number_is_written_in_decimal() {
        for value in [0, 7, 10, 1234, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
