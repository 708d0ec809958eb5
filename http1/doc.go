// Package http1 is HTTP/1.1 for programs that must leave the processor to others: a load
// generator, a node that answers one event a request and passes requests on.
//
// A client's [Conn] is one connection with one request under way; a request is written
// by hand ([AppendHead], [AppendHeader], [AppendBody]), and an answer is read into memory
// that the Conn keeps. A request that fits in that memory allocates nothing. It does what
// Playhead's API needs and refuses the rest with an error: no redirects, no pipelining, no
// upgrade, no HEAD. An answer is bounded in its head and its body, and everything in time:
// [Conn.Do] ends at its deadline at the latest.
//
// A [Server] answers the requests that are plain, and passes the rest to net/http.
package http1
