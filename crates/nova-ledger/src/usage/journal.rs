//! The journal: JSON lines on disk that hold usage records while the store does not take them.
//!
//! Invariant: a record that [`Journal::append`] has taken is on the disk, and its file is deleted only after
//! the database has it.
//!
//! The folder holds segments. The one that is being written is locked (`flock`), so a second process with the
//! same folder leaves it alone; one whose writer was killed is unlocked by the operating system and taken
//! over at the next start. Replaying one twice does no harm, because the database ignores ids that it has.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Submitted, UsageRecord};

/// A segment is replayed as a whole from memory, so it must not grow without end.
const SEGMENT_BYTES: u64 = 8 << 20;
const SEGMENT: &str = "jsonl";
const REFUSED: &str = "refused.json-lines";

pub(crate) struct Journal {
    folder: PathBuf,
    active: Option<Active>,
}

struct Active {
    file: File,
    bytes: u64,
}

/// A finished segment, held under its lock.
pub(crate) struct Segment {
    path: PathBuf,
    /// Keeps the lock.
    _file: File,
    pub(crate) records: Vec<Submitted>,
    damaged: usize,
}

impl Journal {
    /// Makes the folder with mode 0700 where it is missing.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned(), active: None })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes records and waits until they are on the disk.
    pub(crate) fn append(&mut self, records: &[Submitted]) -> io::Result<()> {
        let lines = lines(records)?;
        let written = self.active().and_then(|active| {
            active.file.write_all(&lines)?;
            active.file.sync_data()?;
            active.bytes += lines.len() as u64;
            Ok(active.bytes)
        });
        match written {
            Ok(bytes) if bytes < SEGMENT_BYTES => Ok(()),
            Ok(_) => {
                self.seal();
                Ok(())
            }
            Err(error) => {
                // It may end in half a line now; whatever comes next must not be glued to it.
                self.seal();
                Err(error)
            }
        }
    }

    /// Finishes the segment that is being written, so that [`Self::take`] can have it.
    pub(crate) fn seal(&mut self) {
        self.active = None;
    }

    /// The oldest finished segment that no other process holds.
    pub(crate) fn take(&mut self) -> io::Result<Option<Segment>> {
        for path in self.segments()? {
            let mut file = match OpenOptions::new().read(true).append(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if file.try_lock().is_err() {
                continue;
            }
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let (records, damaged) = parse(&bytes);
            return Ok(Some(Segment { path, _file: file, records, damaged }));
        }
        Ok(None)
    }

    /// Whether there is anything to replay.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.active.is_none() && self.segments()?.is_empty())
    }

    /// Keeps a record that the database will never take, for a person to look at.
    pub(crate) fn refuse(&mut self, record: &UsageRecord) -> io::Result<()> {
        let mut file = private().append(true).create(true).open(self.folder.join(REFUSED))?;
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()
    }

    fn active(&mut self) -> io::Result<&mut Active> {
        if self.active.is_none() {
            // Names sort by time, because a UUID of version 7 begins with it.
            let path = self.folder.join(format!("{}.{SEGMENT}", uuid::Uuid::now_v7()));
            // Locked before it gets the name that others look for, so that nobody can take and delete it in
            // between.
            let draft = path.with_extension("new");
            let file = private().append(true).create_new(true).open(&draft)?;
            file.lock()?;
            fs::rename(&draft, &path)?;
            File::open(&self.folder)?.sync_all()?;
            self.active = Some(Active { file, bytes: 0 });
        }
        self.active.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn segments(&self) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == SEGMENT) {
                paths.push(path);
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }
}

impl Segment {
    /// Deletes the segment once the database has its records. Lines that could not be read are kept under
    /// another name.
    pub(crate) fn done(self) -> io::Result<()> {
        if self.damaged == 0 {
            return fs::remove_file(&self.path);
        }
        let kept = self.path.with_extension("damaged");
        let file = kept.display();
        tracing::error!(lines = self.damaged, %file, "a usage journal has unreadable lines, and was kept");
        fs::rename(&self.path, kept)
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn lines(records: &[Submitted]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::with_capacity(records.len() * 512);
    for record in records {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// The records of a segment, and how many lines were none. A torn last line is what a kill in the middle of a
/// write leaves.
fn parse(bytes: &[u8]) -> (Vec<Submitted>, usize) {
    let mut records = Vec::new();
    let mut damaged = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(record) => records.push(record),
            Err(_) => damaged += 1,
        }
    }
    (records, damaged)
}
