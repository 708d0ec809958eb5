//go:build unix

package archive

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockExclusively locks a file until it is closed, or its process ends.
func lockExclusively(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return nil
}
