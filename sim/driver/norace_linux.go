//go:build !race

package driver

func sending() {}

func received(int) {}
