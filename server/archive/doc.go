// Package archive keeps the committed commands of a log on disk after the log was
// truncated: compressed, checksummed, in segments. It knows files and bytes only.
//
// # What is in a directory
//
// Segments, named by the first index they may hold in 20 digits:
// 00000000000000000001.seg. All but the newest are sealed by a footer. A segment is
// a header and frames; integers are big-endian unless they are called varints:
//
//	offset  size  header of a segment, version 2
//	0       8     magic and version, "pharch02"; "pharch01" in version 1
//	8       8     first index, as in the name
//	16      16    the cluster's id, zero: not known when the segment began
//	32      4     CRC-32C of bytes 0 to 31
//
//	offset  size  a frame
//	0       4     magic, "phfr"
//	4       1     kind: 1 entries, 2 gap, 3 digest, 4 footer, 5 entries
//	5       3     zero
//	8       8     the index up to which everything lies before this frame
//	16      8     first index
//	24      8     last index
//	32      8     newest stamp, Unix milliseconds
//	40      4     commands in it
//	44      4     bytes of the payload before compression
//	48      4     bytes of the payload
//	52      4     CRC-32C of the payload
//	56      4     CRC-32C of bytes 0 to 55
//	60      …     payload
//
// The payload of an entries frame is its commands, compressed with zstd (kind 1, in
// segments of version 1) or as one S2 block (kind 5, in version 2), each as: uvarint, its
// index less the one before (or the frame's first); varint, its stamp less the one
// before (or 0); uvarint, its length; its bytes. Commands that share an index never
// stand in two frames. A gap (first, last) says that this archive does not hold
// these entries, for the node never had them: it began from a snapshot of a peer. A
// digest says what the state was after the entry at its index: version of the digest
// (1 byte), cluster id (16), digest (32). It also says that everything up to its index
// is archived, whether there were commands or not. A footer repeats the number of
// commands (8) and frames (8) and has the CRC-32C of the file before it (4).
//
// A change of any of this takes the next version; reading keeps the old ones.
package archive
