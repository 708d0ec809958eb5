package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	natsclient "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/playhead-load/playhead/viewing/wire"
)

const (
	natsStream  = "VIEWING"
	natsSubject = "viewing.events"
)

// nats keeps each event in a JetStream stream of three replicas with
// sync_interval: always, which writes through to the disk before it acknowledges.
type nats struct{}

func (nats) name() string { return "nats " + versionOf("github.com/nats-io/nats-server/v2") }

// serveNATS runs one NATS server.
func serveNATS(args []string) error {
	flags := flag.NewFlagSet("serve-nats", flag.ContinueOnError)
	name := flags.String("name", "", "")
	dir := flags.String("dir", "", "")
	client := flags.String("client", "", "")
	peer := flags.String("peer", "", "")
	peers := flags.String("peers", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	opts := &natsserver.Options{
		ServerName: *name, JetStream: true, StoreDir: *dir, SyncAlways: true, NoSigs: true,
	}
	var err error
	if opts.Host, opts.Port, err = splitAddress(*client); err != nil {
		return err
	}
	opts.Cluster.Name = "bench"
	if opts.Cluster.Host, opts.Cluster.Port, err = splitAddress(*peer); err != nil {
		return err
	}
	for p := range strings.SplitSeq(*peers, ",") {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats-route", Host: p})
	}
	server, err := natsserver.NewServer(opts)
	if err != nil {
		return err
	}
	server.SetLoggerV2(&natsLog{}, false, false, false)
	server.Start()
	ended := make(chan struct{})
	go func() { server.WaitForShutdown(); close(ended) }()
	err = untilTold(ended, told)
	os.Exit(exitCode(err)) // what it holds is thrown away
	return err
}

func exitCode(err error) int {
	if err != nil {
		return 1
	}
	return 0
}

// natsLog writes what goes wrong.
type natsLog struct{}

func (*natsLog) Noticef(string, ...any) {}
func (*natsLog) Debugf(string, ...any)  {}
func (*natsLog) Tracef(string, ...any)  {}

func (*natsLog) Warnf(format string, v ...any)  { fmt.Fprintf(os.Stderr, format+"\n", v...) }
func (*natsLog) Errorf(format string, v ...any) { fmt.Fprintf(os.Stderr, format+"\n", v...) }
func (*natsLog) Fatalf(format string, v ...any) { fmt.Fprintf(os.Stderr, format+"\n", v...) }

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

func (nats) start(ctx context.Context, dir string) (cluster, error) {
	addresses, err := freeAddresses(2 * nodes)
	if err != nil {
		return nil, err
	}
	clients, peers := addresses[:nodes], addresses[nodes:]
	var args [][]string
	for i := range nodes {
		name := fmt.Sprintf("n%d", i+1)
		args = append(args, []string{
			"-name", name, "-dir", filepath.Join(dir, name),
			"-client", clients[i], "-peer", peers[i], "-peers", strings.Join(peers, ","),
		})
	}
	c := &natsCluster{}
	if c.processes, err = startProcesses("serve-nats", dir, args); err == nil {
		err = c.await(ctx, "a stream of three replicas", func(ctx context.Context) error { return c.makeStream(ctx, clients) })
	}
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

type natsCluster struct {
	*processes
	leader string // of the stream: its address
}

func (c *natsCluster) makeStream(ctx context.Context, addresses []string) error {
	conn, err := natsclient.Connect("nats://"+addresses[0], natsclient.Timeout(time.Second))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: natsStream, Subjects: []string{natsSubject}, Storage: jetstream.FileStorage, Replicas: nodes,
	})
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	if info.Cluster == nil || len(info.Cluster.Replicas) != nodes-1 {
		return errors.New("the stream has no replicas")
	}
	for _, replica := range info.Cluster.Replicas {
		if !replica.Current {
			return fmt.Errorf("replica %s is not current", replica.Name)
		}
	}
	number, err := strconv.Atoi(strings.TrimPrefix(info.Cluster.Leader, "n"))
	if err != nil || number < 1 || number > len(addresses) {
		return fmt.Errorf("the stream's leader is %q", info.Cluster.Leader)
	}
	c.leader = addresses[number-1]
	return nil
}

func (c *natsCluster) dial(_ context.Context, r row, i int) (connection, error) {
	conn, err := natsclient.Connect("nats://"+c.leader, natsclient.IgnoreDiscoveredServers(), natsclient.NoReconnect())
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(2*r.batch))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &publisher{conn: conn, js: js, devices: newDevices(r, i), batch: r.batch}, nil
}

// publisher publishes a batch at once and waits until all of it is acknowledged.
type publisher struct {
	conn    *natsclient.Conn
	js      jetstream.JetStream
	devices *devices
	batch   int
	waiting []jetstream.PubAckFuture
}

func (p *publisher) close() error { p.conn.Close(); return nil }

func (p *publisher) send(ctx context.Context) error {
	p.waiting = p.waiting[:0]
	for range p.batch {
		future, err := p.js.PublishAsync(natsSubject, wire.AppendEventJSON(nil, p.devices.next(time.Now())))
		if err != nil {
			return err
		}
		p.waiting = append(p.waiting, future)
	}
	late := time.NewTimer(answerTimeout)
	defer late.Stop()
	for _, future := range p.waiting {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			return err
		case <-late.C:
			return fmt.Errorf("no acknowledgement within %v", answerTimeout)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
