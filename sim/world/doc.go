// Package world is a whole system on a virtual clock: the devices of a population, a
// network that delays, loses, copies and reorders requests and answers, and a server
// that crashes, made of nothing but the rules of viewing.
//
// First there are faults, then they end and the system must converge. An auditor that
// knows only what the devices did and were told then compares everything with what the
// server answers. One seed decides the whole world: who watches what, which clocks are
// wrong, what the network does to each message, when the server crashes and what was on
// its disk by then. The same seed is the same story, line by line.
//
// There is no goroutine, no socket and no clock on the wall here until the story has
// ended, so a failing seed fails again, and can be told with Options.Story.
package world
