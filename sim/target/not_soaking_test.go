//go:build !soak

package target

const soaking = false
