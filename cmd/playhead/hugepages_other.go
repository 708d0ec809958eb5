//go:build !linux

package main

func growInHugePages() {}
