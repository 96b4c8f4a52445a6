//! `portcullis drain`.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    cli::DrainArgs,
    limits::{DRAIN_ANSWER_MAX, DRAIN_STATUS_LINE_MAX},
    render,
};

pub(crate) fn run(args: &DrainArgs) -> Result<ExitCode> {
    let address = args.admin_address;
    begin(address)?;
    render::print("draining\n")?;
    if args.wait {
        wait(address)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn begin(address: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect_timeout(&address, DRAIN_ANSWER_MAX).with_context(|| {
        format!("no portcullis can be asked at {address}; name its address with --admin-address")
    })?;
    let status = ask(&stream, "POST", Some(DRAIN_ANSWER_MAX))
        .with_context(|| format!("{address} does not say that it drains"))?;
    match status {
        Status::Http(202) => Ok(()),
        Status::Http(_) | Status::Foreign | Status::Closed => {
            bail!("{address} is no admin address of portcullis; name it with --admin-address")
        }
    }
}

/// Waits until nothing new is accepted. A connection that is lost says that the process has ended.
fn wait(address: SocketAddr) -> Result<()> {
    let asked = TcpStream::connect_timeout(&address, DRAIN_ANSWER_MAX)
        .and_then(|stream| Ok((ask(&stream, "GET", None)?, stream)));
    match asked {
        Ok((Status::Http(200), stream)) => {
            render::print("nothing new is accepted\n")?;
            // Left to the kernel, which closes it when we end: until then the process waits for us.
            std::mem::forget(stream);
            Ok(())
        }
        Ok((Status::Closed, _)) | Err(_) => render::print("ended\n"),
        Ok((Status::Http(_) | Status::Foreign, _)) => {
            bail!("{address} does not say how far it is; it drains all the same")
        }
    }
}

enum Status {
    Http(u16),
    /// Something else than HTTP.
    Foreign,
    /// The connection ended without an answer.
    Closed,
}

/// The status of the answer to a request for `/drain`; nothing else of it is read.
fn ask(mut stream: &TcpStream, method: &str, patience: Option<Duration>) -> io::Result<Status> {
    stream.set_read_timeout(patience)?;
    let head = format!("{method} /drain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut line = String::new();
    let read = BufReader::new(stream.take(DRAIN_STATUS_LINE_MAX)).read_line(&mut line);
    match read {
        Ok(0) => Ok(Status::Closed),
        Ok(_) => {
            let code = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next());
            Ok(code.and_then(|code| code.parse().ok()).map_or(Status::Foreign, Status::Http))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Status::Foreign),
        Err(error) => Err(error),
    }
}
