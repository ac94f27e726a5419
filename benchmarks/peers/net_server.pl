#!/usr/bin/perl
# An echo on Net::Server::PreFork; prints its port.
#
#   perl net_server.pl WORKERS [tuned]
#
# A fixed number of workers that are never recycled; all other settings are defaults. `tuned` sets
# what was found to make it faster: no lock around accept(), because the kernel wakes only one
# worker anyway, and no replacement of standard input and output by the client.
use strict;
use warnings;

package Echo;
use parent 'Net::Server::PreFork';

sub post_bind_hook {
    my $self = shift;
    local $| = 1;
    print $self->{server}{sock}[0]->NS_port, "\n";
}

sub process_request {
    my ($self, $client) = @_;
    my $data;
    sysread($client, $data, 1024) and syswrite($client, $data);
}

package main;

my ($workers, $tuned) = @ARGV;
@ARGV = ();    # or Net::Server would read them as options
Echo->run(
    host => '127.0.0.1', port => 0, ipv => 4, listen => 1024, proto => 'tcp', log_level => 0,
    min_servers => $workers, max_servers => $workers,
    min_spare_servers => 0, max_spare_servers => $workers - 1,
    max_requests => 1_000_000_000,
    $tuned ? (serialize => 'none', no_client_stdout => 1) : (),
);
