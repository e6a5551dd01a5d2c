//! A table in a directory. The table library never syncs what it writes there, so this does.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use deltalake::logstore::{LogStoreRef, StorageConfig, logstore_for};
use url::Url;

use super::{LOG, Place, SET_ASIDE};
use crate::table::{LakeError, table_error};

/// The directory of a table.
#[derive(Debug, Clone)]
pub(crate) struct Directory(pub PathBuf);

impl Directory {
    pub(super) fn make(&self) -> Result<Directory, LakeError> {
        fs::create_dir_all(&self.0).map_err(self.unusable())?;
        self.real()
    }

    /// The directory by the name that no link changes.
    pub(super) fn real(&self) -> Result<Directory, LakeError> {
        Ok(Directory(self.0.canonicalize().map_err(self.unusable())?))
    }

    pub(super) fn has_versions(&self) -> bool {
        fs::read_dir(self.0.join(LOG)).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().ends_with(b".json")))
        })
    }

    pub(super) fn url(&self) -> Result<Url, LakeError> {
        Url::from_directory_path(&self.0).map_err(|()| self.unusable()(io::ErrorKind::InvalidInput.into()))
    }

    pub(super) fn log_store(&self) -> Result<LogStoreRef, LakeError> {
        let failed = table_error(&Place::Directory(self.clone()), "open");
        logstore_for(&self.url()?, StorageConfig::default()).map_err(failed)
    }

    pub(super) fn sync_data<'a>(&self, files: impl Iterator<Item = &'a str>) -> Result<(), LakeError> {
        for file in files {
            let file = self.0.join(file);
            sync(&file)?;
            if let Some(partition) = file.parent() {
                sync(partition)?;
            }
        }
        sync(&self.0)
    }

    pub(super) fn sync_log(&self, files: &[&str]) -> Result<(), LakeError> {
        let log = self.0.join(LOG);
        for file in files {
            sync(&log.join(file))?;
        }
        sync(&log)
    }

    pub(super) fn sync_folders(&self) -> Result<(), LakeError> {
        for folder in list(&self.0)? {
            if folder.file_type().map_err(failed_on(&folder.path()))?.is_dir() {
                sync(&folder.path())?;
            }
        }
        Ok(())
    }

    /// A data file that was being written by a killed process has something behind its name.
    pub(super) fn data_files(&self) -> Result<Vec<String>, LakeError> {
        let mut files = data_files_below(&self.0)?;
        let aside = self.0.join(SET_ASIDE);
        if aside.exists() {
            files.extend(data_files_below(&aside)?.into_iter().map(|file| format!("{SET_ASIDE}/{file}")));
        }
        Ok(files)
    }

    pub(super) fn log_files(&self) -> Result<Vec<String>, LakeError> {
        let entries = list(&self.0.join(LOG))?;
        Ok(entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }

    pub(super) fn read_log(&self, name: &str) -> Result<String, LakeError> {
        let path = self.0.join(LOG).join(name);
        fs::read_to_string(&path).map_err(failed_on(&path))
    }

    /// The file keeps its time, which is what the table's history and the limit of its age go by.
    pub(super) fn rewrite_log(&self, name: &str, text: &str) -> Result<(), LakeError> {
        let path = self.0.join(LOG).join(name);
        let fresh = path.with_extension("new");
        let rewrite = || {
            let written = fs::metadata(&path)?.modified()?;
            let mut file = File::create(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.set_modified(written)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        rewrite().map_err(failed_on(&path))
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), LakeError> {
        let path = self.0.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed_on(&path)(source)),
            _ => Ok(()),
        }
    }

    pub(super) fn set_aside(&self, name: &str) -> Result<(), LakeError> {
        let (path, aside) = (self.0.join(name), self.0.join(SET_ASIDE).join(name));
        let moved = || {
            fs::create_dir_all(aside.parent().unwrap_or(&self.0))?;
            match fs::rename(&path, &aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        moved().map_err(failed_on(&path))
    }

    fn unusable(&self) -> impl FnOnce(io::Error) -> LakeError + use<> {
        let path = self.0.clone();
        move |source| LakeError::Directory { path, source }
    }
}

/// The data files in the folders of days.
fn data_files_below(directory: &Path) -> Result<Vec<String>, LakeError> {
    let mut files = Vec::new();
    for folder in list(directory)? {
        let name = folder.file_name().to_string_lossy().into_owned();
        if !name.contains('=') || !folder.file_type().map_err(failed_on(&folder.path()))?.is_dir() {
            continue;
        }
        for file in list(&folder.path())? {
            let of_file = file.file_name().to_string_lossy().into_owned();
            if of_file.starts_with("part-") && of_file.contains(".parquet") {
                files.push(format!("{name}/{of_file}"));
            }
        }
    }
    Ok(files)
}

fn list(directory: &Path) -> Result<Vec<fs::DirEntry>, LakeError> {
    fs::read_dir(directory).and_then(Iterator::collect).map_err(failed_on(directory))
}

fn sync(path: &Path) -> Result<(), LakeError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| LakeError::Sync { path: path.to_owned(), source })
}

fn failed_on(path: &Path) -> impl FnOnce(io::Error) -> LakeError + use<> {
    let path = path.to_owned();
    move |source| LakeError::File { path, source }
}
