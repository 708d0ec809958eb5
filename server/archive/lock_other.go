//go:build !unix

package archive

import "os"

// lockExclusively does nothing where there is no flock: the log's own lock is the
// only one there.
func lockExclusively(*os.File) error { return nil }
