// Package drivertest has targets that are exactly as slow as they are told to be, and
// the times that are true of them, to hold a load generator's figures against.
package drivertest
