// The door of one listener: sockets in, requests out, and answers to what is neither.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Server as TlsServer, TLSSocket } from 'node:tls';
import type { Listener } from '../../policy/policy.ts';
import { reject } from '../../rejection/rejection.ts';
import { answerRaw, hangUp } from '../transaction/answer.ts';
import {
  compileStanding,
  type Connection,
  type ConnectionRules,
  maySendHeader,
  readConnection,
  type Standing,
} from './connection.ts';
import type { Admission } from './admission.ts';
import type { Door, Draining } from './generations.ts';
import { type Handshakes, takeTurns } from './handshakes.ts';
import { createServer } from './http1-server.ts';
import { awaitAnswer, endsConnection, Http1Transaction, isPending, mayAnswer } from '../transaction/http1.ts';
import { Http2Connection } from './http2-connection.ts';
import { finish, handshakeRefusal, type Open, openConnection, settleTls, takesRequest } from './open-connection.ts';
import { NO_CONNECT, parserRefusal, refuseHandshake, refuseWithoutTls } from './refusals.ts';
import { type ProxiedSockets, requireProxyHeaders } from './proxied-socket.ts';
import { awaitPreface } from './prior-knowledge.ts';
import type { HandshakeRefusal, Serve } from './serve.ts';
import { compileTicketKeys, compileTlsMaterial } from './tls-material.ts';
import type { Upgrade } from '../transaction/transaction.ts';
import { Seating } from './seating.ts';
import { compileTrustedPeers } from './trusted-peer.ts';
import type { ParserError } from '../../http/method.ts';
import { prepareUpgrade, readUpgrade } from '../transaction/upgrade.ts';

/** Node's own way of serving a connection. */
type ServeSocket = (this: Server, socket: Socket) => void;

/** Milliseconds that a connection which has not sent a whole request yet gets for it while the process stops. */
const LAST_CALL = 1000;

export class HttpDoor implements Door {
  readonly listener: Listener;
  readonly #rules: ConnectionRules;
  readonly #server: Server;
  readonly #serve: Serve;
  readonly #seating: Seating;
  readonly #open = new Map<Duplex, Open>();
  readonly #http2 = new Map<Duplex, Http2Connection>();
  /** Without a byte that tells the version. */
  readonly #undecided = new Map<Socket, Connection>();
  #proxied: ProxiedSockets | undefined;
  #handshakes: Handshakes | undefined;
  #draining: Draining | undefined;
  #stopped = false;
  #emptied: (() => void) | undefined; // of a retired door, for its last connection
  #stands: Standing = () => true;
  readonly #ends = (socket: Socket) => (this.#proxied === undefined ? socket : this.#proxied.endsOf(socket));

  constructor(
    listener: Listener,
    { serve, admission }: { readonly serve: Serve; readonly admission: Admission },
    ticketSecret: Uint8Array,
  ) {
    const material = listener.tls && compileTlsMaterial(listener, listener.tls);
    this.listener = listener;
    this.#serve = serve;
    this.#server = createServer(listener, material?.options, (request) => this.#takesUpgrade(request));
    this.setTicketSecret(ticketSecret);
    const { verify } = listener.clientCertificate;
    const peers = compileTrustedPeers(listener.trustedPeers);
    this.#rules = { verify, authorities: material?.authorities ?? [], peers };
    this.#seating = new Seating({
      admission,
      peers,
      refused: (shortage, client) => serve.refusedConnection(shortage, client),
      left: () => this.#checkEmpty(),
    });
    this.#listen(material === undefined ? 'connection' : 'secureConnection');
  }

  setTicketSecret(secret: Uint8Array): void {
    if (this.#server instanceof TlsServer) this.#server.setTicketKeys(compileTicketKeys(secret, this.listener));
  }

  /** Node counts the seconds of header sections only in a server that listens; this one gets its sockets from generations.ts. */
  open(): void {
    this.#server.emit('listening');
  }

  take(socket: Socket): void {
    socket.allowHalfOpen = this.listener.tls === undefined; // as node:http and node:https have it
    // Behind a PROXY header who may connect at all is looked at first.
    if (this.#proxied !== undefined || this.#seating.enter(socket, socket.remoteAddress)) {
      this.#server.emit('connection', socket);
    }
  }

  #listen(ready: 'connection' | 'secureConnection'): void {
    const server = this.#server;
    const serveHttp1 = server.listeners(ready) as ServeSocket[];
    server.removeAllListeners(ready);
    server.on(ready, (socket: Socket) => {
      const connection = this.#admit(socket);
      if (connection === undefined) return;
      if (socket instanceof TLSSocket && socket.alpnProtocol === 'h2') this.#serveHttp2(socket, connection);
      else if (ready === 'connection' && this.listener.http2) this.#awaitVersion(socket, connection, serveHttp1);
      else this.#serveHttp1(socket, connection, serveHttp1);
    });
    if (ready === 'secureConnection') this.#handshakes = this.#takeTurns();
    if (this.listener.proxyProtocol) this.#proxied = this.#requireProxyHeaders();
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => this.#failed(error, socket));
    server.on('request', (request, response) => this.#request(request, response, false));
    server.on('checkContinue', (request, response) => this.#request(request, response, true));
    server.on('checkExpectation', (request, response) => this.#request(request, response, false));
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    server.on('connect', (request: IncomingMessage) => this.#refuseConnect(request));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#clientError(error, socket));
  }

  #takeTurns(): Handshakes {
    return takeTurns(this.#server, {
      timeout: this.listener.limits.headerTimeout * 1000,
      seatOf: (socket) => this.#seating.of(socket),
      refused: (refusal, code, client) => this.#serve.refusedHandshake(refusal, code, client),
      plain: (socket) => refuseWithoutTls(this.#serve, socket, readConnection(socket, this.#rules, this.#ends(socket))),
      displaced: (client) => this.#serve.refusedConnection('handshakes', client),
    });
  }

  #requireProxyHeaders(): ProxiedSockets {
    return requireProxyHeaders(this.#server, {
      timeout: this.listener.limits.headerTimeout * 1000,
      trusts: (peer) => maySendHeader(peer, this.#rules.peers),
      enters: (peer) => this.#seating.enter(peer, undefined),
      found: (peer, address) => this.#seating.identify(peer, address),
      refused: (refusal, peer) => this.#serve.refusedHandshake(refusal, refusal.toUpperCase(), peer),
    });
  }

  #admit(socket: Socket): Connection | undefined {
    settleTls(socket, this.#serve);
    const ends = this.#ends(socket);
    const seat = this.#seating.of(socket);
    if (ends === undefined || seat === undefined) return void socket.destroy();
    this.#handshakes?.end(seat);
    const connection = readConnection(socket, this.#rules, ends);
    const { request } = this.listener.clientCertificate;
    const refused = (refusal: HandshakeRefusal) =>
      refuseHandshake(this.#serve, socket, { refusal }, this.#seating.clientOf(socket));
    if (connection === 'unreadable') refused('certificate_unreadable');
    else if (request === 'required' && connection.evidence === undefined) refused('certificate_missing');
    else if (this.#stands(connection, socket)) {
      if (connection.trustedUntil > 0) this.#seating.exempt(socket);
      return connection;
    } else hangUp(socket); // the handshake was under way when the listener changed
    return undefined;
  }

  /** Without TLS the first bytes tell. A connection that says nothing is one of HTTP/1, which answers that it took too long. */
  #awaitVersion(socket: Socket, connection: Connection, serveHttp1: readonly ServeSocket[]): void {
    this.#undecided.set(socket, connection);
    socket.once('close', () => this.#undecided.delete(socket));
    awaitPreface(socket, this.listener.limits.headerTimeout * 1000, {
      http1: () => this.#serveHttp1(socket, connection, serveHttp1),
      http2: () => this.#serveHttp2(socket, connection),
      timedOut: () => {
        this.#serveHttp1(socket, connection, serveHttp1);
        this.#clientError(Object.assign(new Error(), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket);
      },
    });
  }

  #serveHttp2(socket: Socket, connection: Connection): void {
    this.#undecided.delete(socket);
    const http2 = new Http2Connection(socket, connection, this.listener.limits, this.#serve);
    this.#http2.set(socket, http2);
    this.#seating.ready(socket, http2);
    this.#serve.connected();
    socket.once('close', () => this.#http2.delete(socket));
    if (this.#stopped) http2.stop();
    else if (this.#draining === 'all') http2.announce();
  }

  /** Facts are there when the first byte is parsed. */
  #serveHttp1(socket: Socket, connection: Connection, serveHttp1: readonly ServeSocket[]): void {
    this.#undecided.delete(socket);
    const open = openConnection(connection);
    this.#open.set(socket, open);
    this.#seating.ready(socket, open);
    this.#serve.connected();
    socket.once('close', () => this.#open.delete(socket));
    socket.allowHalfOpen = true; // over TLS as well (RFC 8446 §6.1)
    socket.once('end', () => awaitAnswer(socket, open.newest));
    for (const serve of serveHttp1) serve.call(this.#server, socket);
  }

  #failed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    const why = handshakeRefusal(error, socket);
    if (why === undefined) socket.destroy();
    else refuseHandshake(this.#serve, socket, why, this.#seating.clientOf(socket));
  }

  #request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean, upgrade?: Upgrade): void {
    const open = this.#open.get(request.socket);
    if (open === undefined || !takesRequest(request.socket, open)) return;
    response.on('close', open.answered);
    open.newest = response;
    // Node loses what came with a request that has an Upgrade field, and would take the middle of it for the next request.
    if (request.headers.upgrade !== undefined) open.last = true;
    if (open.last || this.#draining !== undefined || this.#stopped) response.shouldKeepAlive = false;
    if (this.#stopped) request.socket.setTimeout(0);
    this.#serve.request(new Http1Transaction(request, response, expectsContinue, upgrade), open.connection);
  }

  /** A WebSocket is all that is upgraded to, and only where no earlier answer is still on its way (RFC 9110 §7.8). */
  #takesUpgrade(request: IncomingMessage): boolean {
    const open = this.#open.get(request.socket);
    const free = open !== undefined && !open.last && !isPending(open.newest) && !endsConnection(open.newest);
    return free && readUpgrade(request) !== undefined;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const key = readUpgrade(request);
    if (key === undefined || socket !== request.socket) return void socket.destroy();
    const { response, upgrade } = prepareUpgrade(request, request.socket, head, key);
    this.#request(request, response, false, upgrade);
  }

  /** No route has CONNECT, and its target is no path: it ends here (RFC 9110 §9.3.6). */
  #refuseConnect({ socket }: IncomingMessage): void {
    const open = this.#open.get(socket);
    if (open === undefined || isPending(open.newest)) hangUp(socket);
    else answerRaw(socket, this.#serve.refused(reject('method_not_allowed', NO_CONNECT), open));
  }

  /** Node's parser gave up, or waited too long for fields. */
  #clientError(error: ParserError, socket: Duplex): void {
    const { code = '' } = error;
    const open = this.#open.get(socket);
    if (open === undefined || open.broken) return;
    // Behind the last request a client may send what it likes; the answer on its way is not disturbed.
    if (code === 'HPE_CLOSED_CONNECTION' || (open.last && open.newest?.req.complete)) return;
    open.broken = open.last = true;
    // The end of the connection in the middle of a body: that request is under way and says itself that its client is gone.
    if (code === 'HPE_INVALID_EOF_STATE' && open.newest?.req.complete === false) return void socket.destroy();
    const rejection = parserRefusal(error, this.listener.limits);
    if (rejection === undefined || !socket.writable) return void socket.destroy();
    const answer = this.#serve.refused(rejection, open);
    if (mayAnswer(open.newest)) answerRaw(socket, answer);
    else hangUp(socket);
  }

  retire(now: Listener | undefined, emptied: () => void): void {
    this.#stands = now === undefined ? () => false : compileStanding(this.listener, now);
    this.#emptied = emptied;
    for (const [socket, open] of this.#open) if (!this.#stands(open.connection, socket as Socket)) finish(socket, open);
    for (const [socket, http2] of this.#http2) if (!this.#stands(http2.connection, socket as Socket)) http2.retire();
    for (const [socket, connection] of this.#undecided) if (!this.#stands(connection, socket)) socket.destroy();
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#emptied === undefined || this.#seating.size > 0) return;
    this.#server.close();
    this.#emptied();
  }

  drain(whom: Draining): void {
    this.#draining = whom;
    if (whom === 'all') for (const http2 of this.#http2.values()) http2.announce();
    for (const { newest } of this.#open.values()) if (newest?.headersSent === false) newest.shouldKeepAlive = false;
  }

  stop(): void {
    this.#stopped = true;
    this.#server.close(); // it never listened: this ends idle connections and its timer
    for (const [socket, { newest }] of this.#open) this.#lastCall(socket as Socket, newest);
    for (const http2 of this.#http2.values()) http2.stop();
    for (const socket of this.#undecided.keys()) socket.setTimeout(LAST_CALL);
  }

  #lastCall(socket: Socket, newest: ServerResponse | undefined): void {
    if (newest === undefined || !isPending(newest)) return void socket.setTimeout(LAST_CALL);
    newest.shouldKeepAlive = false;
    newest.once('close', () => this.#server.closeIdleConnections());
  }

  close(): void {
    for (const socket of [...this.#open.keys(), ...this.#seating.sockets()]) socket.destroy();
  }
}
