package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/playhead-load/playhead/viewing/wire"
)

// etcdMaxTxnOps is --max-txn-ops, raised for transactions of a whole batch. Nothing
// else is changed: fsync is on.
const etcdMaxTxnOps = 1000

// etcd keeps each session's newest keepalive under a key of its own: a put an event,
// in a transaction where a request has several.
type etcd struct{}

func (etcd) name() string { return "etcd " + versionOf("go.etcd.io/etcd/server/v3") }

// serveEtcd runs one etcd server.
func serveEtcd(args []string) error {
	flags := flag.NewFlagSet("serve-etcd", flag.ContinueOnError)
	name := flags.String("name", "", "")
	dir := flags.String("dir", "", "")
	client := flags.String("client", "", "")
	peer := flags.String("peer", "", "")
	initial := flags.String("initial", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = *name, *dir, *initial
	cfg.ListenClientUrls, cfg.ListenPeerUrls = []url.URL{{Scheme: "http", Host: *client}}, []url.URL{{Scheme: "http", Host: *peer}}
	cfg.AdvertiseClientUrls, cfg.AdvertisePeerUrls = cfg.ListenClientUrls, cfg.ListenPeerUrls
	cfg.MaxTxnOps = etcdMaxTxnOps
	cfg.LogLevel, cfg.LogOutputs = "error", []string{"stderr"}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	err = untilTold(server.Server.StopNotify(), told)
	server.Server.HardStop() // what it holds is thrown away
	return err
}

func (etcd) start(ctx context.Context, dir string) (cluster, error) {
	addresses, err := freeAddresses(2 * nodes)
	if err != nil {
		return nil, err
	}
	clients, peers := addresses[:nodes], addresses[nodes:]
	var initial []string
	for i, peer := range peers {
		initial = append(initial, fmt.Sprintf("n%d=http://%s", i+1, peer))
	}
	var args [][]string
	for i := range nodes {
		args = append(args, []string{
			"-name", fmt.Sprintf("n%d", i+1), "-dir", filepath.Join(dir, fmt.Sprintf("n%d", i+1)),
			"-client", clients[i], "-peer", peers[i], "-initial", strings.Join(initial, ","),
		})
	}
	c := &etcdCluster{}
	if c.processes, err = startProcesses("serve-etcd", dir, args); err == nil {
		err = c.await(ctx, "an etcd leader", func(ctx context.Context) (err error) {
			c.leader, err = etcdLeader(ctx, clients)
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

type etcdCluster struct {
	*processes
	leader string
}

func dialEtcd(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// etcdLeader asks the servers which of them leads; all must know.
func etcdLeader(ctx context.Context, addresses []string) (leader string, err error) {
	for _, address := range addresses {
		conn, err := dialEtcd(address)
		if err != nil {
			return "", err
		}
		asking, cancel := context.WithTimeout(ctx, time.Second)
		status, err := pb.NewMaintenanceClient(conn).Status(asking, &pb.StatusRequest{})
		cancel()
		_ = conn.Close()
		switch {
		case err != nil:
			return "", err
		case status.Leader == 0:
			return "", fmt.Errorf("%s knows of no leader", address)
		case status.Leader == status.Header.MemberId:
			leader = address
		}
	}
	if leader == "" {
		return "", errors.New("no server says that it leads")
	}
	return leader, nil
}

func (c *etcdCluster) dial(_ context.Context, r row, i int) (connection, error) {
	conn, err := dialEtcd(c.leader)
	if err != nil {
		return nil, err
	}
	return &putter{conn: conn, kv: pb.NewKVClient(conn), devices: newDevices(r, i), batch: r.batch}, nil
}

// putter talks to etcd's API without the client library around it, which would only
// cost more.
type putter struct {
	conn    *grpc.ClientConn
	kv      pb.KVClient
	devices *devices
	batch   int
}

func (p *putter) close() error { return p.conn.Close() }

func (p *putter) put() *pb.PutRequest {
	e := p.devices.next(time.Now())
	return &pb.PutRequest{Key: e.SessionID[:], Value: wire.AppendEventJSON(nil, e)}
}

func (p *putter) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if p.batch == 1 {
		_, err := p.kv.Put(ctx, p.put())
		return err
	}
	txn := &pb.TxnRequest{}
	for range p.batch {
		put := p.put()
		put.Key = append([]byte(nil), put.Key...) // the next event takes its place
		txn.Success = append(txn.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}})
	}
	answer, err := p.kv.Txn(ctx, txn)
	if err != nil {
		return err
	}
	if !answer.Succeeded || len(answer.Responses) != p.batch {
		return fmt.Errorf("etcd answered %d of %d puts", len(answer.Responses), p.batch)
	}
	return nil
}
