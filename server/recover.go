package server

import (
	"errors"
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
	cfg.Raft.Logger = cfg.Logger
	if _, err := raft.Inspect(cfg.Raft); err != nil { // before anything is made there
		return done, "", err
	}
	dir := filepath.Join(cfg.Raft.DataDir, ArchiveDir)
	v := newViews()
	if v.archiver, err = openArchiver(dir, archive.Options{KeepBytes: cfg.ArchiveBytes, KeepFor: cfg.ArchiveFor}, cfg.Logger); err != nil {
		return done, "", err
	}
	defer func() { err = errors.Join(err, v.archiver.close()) }()
	store, err := cold.Open(filepath.Join(cfg.Raft.DataDir, coldDir), cfg.Logger)
	if err != nil {
		return done, "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	v.keepCold(store)
	done, err = raft.Recover(cfg.Raft, v, func(done raft.Recovered) error {
		archived = dir + "-" + done.Before
		if _, err := os.Stat(archived); err == nil { // it was moved before this broke off
			return nil
		}
		return errors.Join(v.archiver.close(), os.Rename(dir, archived))
	})
	return done, archived, err
}
