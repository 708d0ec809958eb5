package raft

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// Limits of the files that a snapshot carries (see [FileWriter]).
const (
	MaxSnapshotFiles = 1 << 14
	MaxFileNameBytes = 64

	maxFilesBytes  = 1 << 50 // of all of them; no disk holds as much
	smallFileBytes = 1 << 20 // up to here a file's checksum is verified whenever the snapshot is opened
	maxListBytes   = 4 << 20 // the longest list as JSON is half of it
)

// fileClaim is what a file of a snapshot has to be.
type fileClaim struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	CRC32C uint32 `json:"crc32c"`
}

var (
	errFileName  = errors.New("expected a name of up to 64 letters, digits and ._-, not . first")
	errFileTwice = errors.New("it is there twice")
	errFileKind  = errors.New("expected a regular file")
	errFileBytes = errors.New("it has another size")
	errFileMany  = fmt.Errorf("more than %d files", MaxSnapshotFiles)
	errFilesSize = errors.New("a size that cannot be")
	errFileExtra = errors.New("nothing tells of it")
)

func checkFileName(name string) error {
	if name == "" || len(name) > MaxFileNameBytes || name[0] == '.' {
		return fmt.Errorf("%q: %w", name, errFileName)
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return fmt.Errorf("%q: %w", name, errFileName)
		}
	}
	return nil
}

// checkList refuses what no node would send or keep. It returns the files' bytes.
func checkList(files []fileClaim) (bytes int64, err error) {
	if len(files) > MaxSnapshotFiles {
		return 0, errFileMany
	}
	seen := make(map[string]bool, len(files))
	for _, file := range files {
		switch err := checkFileName(file.Name); {
		case err != nil:
			return 0, err
		case seen[file.Name]:
			return 0, fmt.Errorf("%s: %w", file.Name, errFileTwice)
		case file.Bytes < 0 || file.Bytes > maxFilesBytes-bytes:
			return 0, fmt.Errorf("%s: %w: %d", file.Name, errFilesSize, file.Bytes)
		}
		seen[file.Name] = true
		bytes += file.Bytes
	}
	return bytes, nil
}

// listFiles makes the list of what a state machine put into dir, and sees that it
// is on disk. A file that the snapshot before had too, by a link, is not read again:
// that would make damage since then part of the claim.
func listFiles(dir, dirBefore string, before []fileClaim, stop <-chan struct{}) ([]fileClaim, error) {
	found, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known := make(map[string]fileClaim, len(before))
	for _, file := range before {
		known[file.Name] = file
	}
	files := make([]fileClaim, 0, len(found))
	for _, entry := range found {
		path := filepath.Join(dir, entry.Name())
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: %w", path, errFileKind)
		}
		file := fileClaim{Name: entry.Name(), Bytes: info.Size()}
		same, err := os.Lstat(filepath.Join(dirBefore, file.Name))
		if last, ok := known[file.Name]; ok && err == nil && os.SameFile(info, same) && last.Bytes == file.Bytes {
			file = last
		} else if file.CRC32C, err = sumFile(path, stop, true); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if _, err := checkList(files); err != nil {
		return nil, err
	}
	return files, syncDir(dir)
}

// sumFile reads a file, and flushes it to disk.
func sumFile(path string, stop <-chan struct{}, sync bool) (sum uint32, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if sync {
		if err := file.Sync(); err != nil {
			return 0, err
		}
	}
	hash := crc32.New(castagnoli)
	if _, err := io.Copy(&stoppableWriter{w: hash, stop: stop}, file); err != nil {
		return 0, err
	}
	return hash.Sum32(), nil
}

// checkFiles holds a directory against its list: names, sizes, and the checksums of
// small files. To read the large ones each time would take minutes; what is in them
// is verified when they travel, and by who reads them.
func checkFiles(dir string, files []fileClaim) error {
	if _, err := checkList(files); err != nil {
		return err
	}
	claimed := make(map[string]bool, len(files))
	for _, file := range files {
		claimed[file.Name] = true
		if err := checkFile(dir, file); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(filesDir, file.Name), err)
		}
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range found {
		if !claimed[entry.Name()] {
			return fmt.Errorf("%s: %w", filepath.Join(filesDir, entry.Name()), errFileExtra)
		}
	}
	return nil
}

func checkFile(dir string, file fileClaim) error {
	path := filepath.Join(dir, file.Name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errMissing
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errFileKind
	case info.Size() != file.Bytes:
		return fmt.Errorf("%w: %d bytes, expected %d", errFileBytes, info.Size(), file.Bytes)
	case file.Bytes > smallFileBytes:
		return nil
	}
	sum, err := sumFile(path, nil, false)
	if err == nil && sum != file.CRC32C {
		err = errEntrySum
	}
	return err
}
