package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/server/archive"
	"github.com/playhead-load/playhead/server/cold"
)

// Recover makes a node that is down the only member of a new cluster, see
// [raft.Recover]. Its archive, complete up to there, is moved aside, to where the
// second result says: the new cluster's begins after it. Of cfg only Raft and Logger
// count, and what the archive keeps.
func Recover(cfg Config) (done raft.Recovered, archived string, err error) {
	dir := cfg.Raft.DataDir
	if err := raft.CanRecover(cfg.Raft); err != nil { // before anything is made there
		return done, "", err
	}
	cfg.Raft.Logger = cfg.Logger
	done, err = recoverViews(cfg)
	if err != nil {
		return done, "", err
	}
	archived = filepath.Join(dir, ArchiveDir+"-"+done.Before)
	switch err := os.Rename(filepath.Join(dir, ArchiveDir), archived); {
	case errors.Is(err, fs.ErrNotExist):
		archived = ""
	case err != nil:
		return done, "", fmt.Errorf("recovered, but the archive is to be moved away by hand before the node starts: %w", err)
	}
	return done, archived, nil
}

func recoverViews(cfg Config) (done raft.Recovered, err error) {
	v := newViews()
	keep := archive.Options{KeepBytes: cfg.ArchiveBytes, KeepFor: cfg.ArchiveFor}
	if v.archiver, err = openArchiver(filepath.Join(cfg.Raft.DataDir, ArchiveDir), keep, cfg.Logger); err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, v.archiver.close()) }()
	store, err := cold.Open(filepath.Join(cfg.Raft.DataDir, coldDir), cfg.Logger)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	v.keepCold(store)
	return raft.Recover(cfg.Raft, v)
}
