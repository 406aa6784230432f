//! How an object archive is opened: where, and with which limits.

use core::time::Duration;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use super::ObjectArchive;
use super::cell::Cell;
use super::remote::Remote;
use crate::{ArchiveError, ErrorKind};

/// How long to wait for a server, and how often to try again within one call. All are lower than the defaults of `object_store`, which stand beside them,
/// so that a caller hears of a failure while it can still do something else.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tierstack_archive::Timeouts;
///
/// let patient = Timeouts { call: Duration::from_secs(120), ..Timeouts::default() };
/// assert_eq!((patient.connect, patient.retries), (Duration::from_secs(2), 3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect. The default is 2 s (5 s).
    pub connect: Duration,
    /// For one request, from the first byte to the last. The default is 10 s (30 s): so a segment of 16 MiB needs 1.7 MB/s.
    pub request: Duration,
    /// How often a request is sent again after an answer such as 500, a lost connection or, where that does no harm, a time-out; with growing pauses of 50 ms to 2 s, drawn by chance. The
    /// default is 3 times (10 times, pauses of up to 15 s).
    pub retries: usize,
    /// For a call with all its requests and retries: [`commit`](crate::Archive::commit), [`get`](crate::Archive::get), [`flush`](crate::Archive::flush), [`forget`](crate::Archive::forget). Of calls that go over the whole archive, for each step of theirs.
    /// The default is 30 s (180 s for each request). It holds for every store, also for one that was made elsewhere.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(2), request: seconds(10), retries: 3, call: seconds(30) }
    }
}

/// How an [`ObjectArchive`] is opened.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "fs")] {
/// use tierstack_archive::{Archive, ObjectOptions, Op};
///
/// let folder = tempfile::tempdir()?;
/// let archive = ObjectOptions::new().segment_bytes(1 << 20).open_folder(folder.path())?;
/// archive.commit(&[Op::Put { key: b"goal", tick: 1, value: b"find the bug" }])?;
///
/// let reader = ObjectOptions::new().read_only(true).open_folder(folder.path())?;
/// assert_eq!(reader.get(b"goal")?.unwrap().value, "find the bug");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ObjectOptions {
    pub(super) timeouts: Timeouts,
    pub(super) segment_bytes: usize,
    pub(super) grace: Duration,
    pub(super) read_only: bool,
    pub(super) create: bool,
}

impl Default for ObjectOptions {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            segment_bytes: 16 << 20,
            grace: Duration::from_mins(10),
            read_only: false,
            create: true,
        }
    }
}

impl ObjectOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long to wait, and how often to try again.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How large a segment gets, in bytes: what does not fit goes into another one of the same commit. A single record may be larger.
    /// The default is 16 MiB, and the most is 1 GiB. Compaction merges segments of less than half of it.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes.clamp(1, 1 << 30);
        self
    }

    /// How long a segment stays that compaction has replaced, so that others who opened the archive before can still read it. The
    /// default is 10 minutes. A reader that comes later notices, and reads the newer manifest.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Whether the handle only reads. Then it fences nobody, and [`ObjectArchive::refresh`] shows it what was committed since. The default is `false`.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Whether to make the archive if there is none. The default is `true`. A reader makes none.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Opens the archive in a folder, or makes it. Segments and manifest are `fsync`ed, with their names.
    ///
    /// The folder has to be on a disk of this machine, or on a file system whose `flock` holds between machines.
    ///
    /// # Errors
    ///
    /// Those of [`open_store`](Self::open_store).
    #[cfg(feature = "fs")]
    pub fn open_folder(self, folder: impl Into<std::path::PathBuf>) -> Result<ObjectArchive, ArchiveError> {
        let folder = folder.into();
        if self.create && !self.read_only {
            super::folder::create(&folder)?;
        } else if !folder.is_dir() {
            return Err(ArchiveError::new(ErrorKind::Missing, format!("{} is no folder", folder.display())));
        }
        let store = object_store::local::LocalFileSystem::new_with_prefix(&folder)
            .map_err(|error| super::remote::error("the folder cannot be used", error))?
            .with_fsync(true);
        let file = super::folder::LockedFile { folder, patience: self.timeouts.request };
        ObjectArchive::open(self, Remote { store: Arc::new(store), prefix: Path::default() }, Cell::Locked(file))
    }

    /// Opens the archive in any store that knows conditional puts, below a prefix, or makes it.
    ///
    /// A store of this kind has its own time-outs and retries, which should be lower than [`Timeouts::call`].
    /// `LocalFileSystem` knows no conditional put; for folders there is `open_folder`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the store knows no conditional puts; [`ErrorKind::Foreign`], [`ErrorKind::Version`] or [`ErrorKind::Corrupt`] if what is there
    /// is no archive that can be read; [`ErrorKind::Missing`] if there is none and none was to be made; and what the store says. An open for
    /// writing that fails may have fenced the writer before it.
    ///
    /// # Cost
    ///
    /// One request for each segment, eight at a time, and the bytes of its footer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tierstack_archive::object_store::memory::InMemory;
    /// use tierstack_archive::{Archive, ErrorKind, ObjectOptions, Op};
    ///
    /// let bucket = Arc::new(InMemory::new());
    /// let older = ObjectOptions::new().open_store(bucket.clone(), "plans/7")?;
    /// older.commit(&[Op::Put { key: b"goal", tick: 1, value: b"find the bug" }])?;
    ///
    /// // The newer writer goes on where the older one was. The older one learns it at its next commit.
    /// let newer = ObjectOptions::new().open_store(bucket, "plans/7")?;
    /// assert!(newer.get(b"goal")?.is_some());
    /// let error = older.commit(&[Op::Put { key: b"goal", tick: 2, value: b"lost?" }]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Fenced);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_store(self, store: Arc<dyn ObjectStore>, prefix: &str) -> Result<ObjectArchive, ArchiveError> {
        let prefix = Path::parse(prefix)
            .map_err(|error| ArchiveError::new(ErrorKind::Unsupported, "the prefix cannot be used").because(error))?;
        let cell = Cell::Conditional { store: store.clone(), at: prefix.clone().join("manifest") };
        ObjectArchive::open(self, Remote { store, prefix }, cell)
    }

    /// Opens the archive at a URL: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`, each with its feature, and with credentials and
    /// further settings from the environment, as `object_store` documents them (such as `AWS_ENDPOINT`).
    ///
    /// # Errors
    ///
    /// Those of [`open_store`](Self::open_store), and [`ErrorKind::Unsupported`] for other URLs.
    #[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
    pub fn open_url(self, url: &str) -> Result<ObjectArchive, ArchiveError> {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme {
            #[cfg(feature = "aws")]
            "s3" => self.open_s3(object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket), prefix),
            #[cfg(feature = "gcp")]
            "gs" => {
                let builder = object_store::gcp::GoogleCloudStorageBuilder::from_env();
                self.open_gcs(builder.with_bucket_name(bucket), prefix)
            }
            #[cfg(feature = "azure")]
            "az" => {
                let builder = object_store::azure::MicrosoftAzureBuilder::from_env();
                self.open_azure(builder.with_container_name(bucket), prefix)
            }
            _ => Err(ArchiveError::new(
                ErrorKind::Unsupported,
                format!("{url} is no URL of a store that was built in ({bucket}, {prefix})"),
            )),
        }
    }

    #[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
    fn retries(&self) -> object_store::RetryConfig {
        object_store::RetryConfig {
            backoff: object_store::BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: self.timeouts.retries,
            retry_timeout: self.timeouts.call,
        }
    }
}

macro_rules! open_cloud {
    ($feature:literal, $name:ident, $builder:ty, $key:ident, $store:literal) => {
        #[cfg(feature = $feature)]
        impl ObjectOptions {
            #[doc = concat!("Opens the archive in a bucket or container of ", $store, ", below a prefix. [`Timeouts`] replace the builder's own.")]
            ///
            /// # Errors
            ///
            /// Those of [`open_store`](Self::open_store).
            pub fn $name(self, builder: $builder, prefix: &str) -> Result<ObjectArchive, ArchiveError> {
                use object_store::ClientConfigKey;
                let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
                let store = builder
                    .with_config($key::Client(ClientConfigKey::ConnectTimeout), milliseconds(self.timeouts.connect))
                    .with_config($key::Client(ClientConfigKey::Timeout), milliseconds(self.timeouts.request))
                    .with_retry(self.retries())
                    .build()
                    .map_err(|error| super::remote::error("the store cannot be used", error))?;
                self.open_store(Arc::new(store), prefix)
            }
        }
    };
}

#[cfg(feature = "aws")]
use object_store::aws::AmazonS3ConfigKey;
#[cfg(feature = "azure")]
use object_store::azure::AzureConfigKey;
#[cfg(feature = "gcp")]
use object_store::gcp::GoogleConfigKey;

open_cloud!(
    "aws",
    open_s3,
    object_store::aws::AmazonS3Builder,
    AmazonS3ConfigKey,
    "Amazon S3, or of a server that speaks as it does"
);
open_cloud!("gcp", open_gcs, object_store::gcp::GoogleCloudStorageBuilder, GoogleConfigKey, "Google Cloud Storage");
open_cloud!("azure", open_azure, object_store::azure::MicrosoftAzureBuilder, AzureConfigKey, "Azure Blob Storage");
