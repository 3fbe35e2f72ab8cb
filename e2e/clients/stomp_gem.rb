# Exercises a broker with the Ruby stomp gem, which is what MCollective uses.
# Arguments: PORT TLS_PORT USER PASSWORD CA_FILE. Prints a line per step; the first failure ends it.

require 'openssl'
require 'stomp'
require 'timeout'

PORT, TLS_PORT, USER, PASSWORD, CA_FILE = ARGV
WAIT = 20
HEART_BEAT_MS = 1000

def check(version, name)
  Timeout.timeout(WAIT) { yield }
  puts "ok #{version} #{name}"
rescue StandardError => e
  abort "FAILED #{version} #{name}: #{e.class}: #{e.message}\n#{e.backtrace.first(5).join("\n")}"
end

def expect(expected, seen, what)
  raise "#{what}: expected #{expected.inspect}, got #{seen.inspect}" unless expected == seen
end

def connect(version, headers = {}, tls: false)
  port = (tls ? TLS_PORT : PORT).to_i
  host = { login: USER, passcode: PASSWORD, host: 'localhost', port: port, ssl: false }
  host[:ssl] = Stomp::SSLParams.new(ts_files: CA_FILE) if tls
  connection = Stomp::Connection.new(
    hosts: [host], reliable: false, connect_timeout: 10, parse_timeout: 10,
    connect_headers: { 'accept-version' => version, 'host' => 'causeway' }.merge(headers)
  )
  expect('CONNECTED', connection.connection_frame.command, 'answer to CONNECT')
  expect(version, connection.protocol, 'version')
  connection
end

# From 1.1 a subscription has an id.
def subscribe(connection, version, destination, headers = {})
  headers = headers.merge('id' => 'one') unless version == '1.0'
  connection.subscribe(destination, headers.merge('receipt' => 'subscribed'))
  frame = connection.receive
  expect('RECEIPT', frame.command, "answer to SUBSCRIBE (#{frame.body})")
end

def message(connection)
  frame = connection.receive
  raise 'the connection ended' if frame.nil?
  expect('MESSAGE', frame.command, "frame (#{frame.headers} #{frame.body})")
  frame
end

def acknowledge(connection, version, frame, command = :ack)
  case version
  when '1.2' then connection.send(command, frame.headers['ack'])
  when '1.1' then connection.send(command, frame.headers['message-id'], subscription: 'one')
  else connection.send(command, frame.headers['message-id'])
  end
end

def queue(version, name)
  "/queue/mcollective.gem.#{version.tr('.', '_')}.#{name}"
end

# Publishes three messages, takes them with an ack mode, acknowledges the second one, and says what
# comes again.
def returned_after_ack(version, mode)
  destination = queue(version, mode)
  consumer = connect(version)
  subscribe(consumer, version, destination, 'ack' => mode)
  %w[one two three].each { |body| consumer.publish(destination, body) }
  frames = Array.new(3) { message(consumer) }
  expect(%w[one two three], frames.map(&:body), 'bodies')
  acknowledge(consumer, version, frames[1]) unless mode == 'auto'
  consumer.disconnect('receipt' => 'bye')
  again = connect(version)
  subscribe(again, version, destination, 'ack' => 'auto')
  again.publish(destination, 'end')
  bodies = []
  bodies << message(again).body until bodies.last == 'end'
  again.disconnect
  bodies[0..-2]
end

%w[1.0 1.1 1.2].each do |version|
  check(version, 'publish and subscribe to a topic') do
    connection = connect(version)
    topic = "/topic/mcollective.gem.#{version.tr('.', '_')}"
    subscribe(connection, version, topic)
    connection.publish(topic, "grüße\0bytes", 'colour' => 'red')
    frame = message(connection)
    expect("grüße\0bytes".b, frame.body.b, 'body')
    expect('red', frame.headers['colour'], 'header')
    connection.disconnect
  end

  check(version, 'receipt') do
    connection = connect(version)
    connection.publish(queue(version, 'receipt'), 'x', 'receipt' => 'r-17')
    frame = connection.receive
    expect(%w[RECEIPT r-17], [frame.command, frame.headers['receipt-id']], 'receipt')
    connection.disconnect('receipt' => 'bye')
    expect('bye', connection.disconnect_receipt.headers['receipt-id'], 'receipt of DISCONNECT')
  end

  check(version, 'ack auto') { expect([], returned_after_ack(version, 'auto'), 'returned') }
  check(version, 'ack client') do
    expect(%w[three], returned_after_ack(version, 'client'), 'returned')
  end
  check(version, 'ack client-individual') do
    expect(%w[one three], returned_after_ack(version, 'client-individual'), 'returned')
  end

  check(version, 'transaction') do
    connection = connect(version)
    destination = queue(version, 'transaction')
    subscribe(connection, version, destination)
    connection.begin('dropped')
    connection.publish(destination, 'never', 'transaction' => 'dropped')
    connection.abort('dropped')
    connection.begin('kept')
    connection.publish(destination, 'in transaction', 'transaction' => 'kept')
    connection.publish(destination, 'before commit')
    expect('before commit', message(connection).body, 'first')
    connection.commit('kept')
    expect('in transaction', message(connection).body, 'second')
    connection.disconnect
  end

  check(version, 'denied destination') do
    connection = connect(version)
    connection.publish('/queue/secret', 'x')
    frame = connection.receive
    expect('ERROR', frame.command, 'command')
    text = "#{frame.headers} #{frame.body}"
    raise "text: #{text}" unless text.include?('not authorized')
    connection.publish(queue(version, 'receipt'), 'x', 'receipt' => 'still open')
    expect('RECEIPT', connection.receive.command, 'the connection stays')
    connection.disconnect
  end

  check(version, 'TLS') do
    connection = connect(version, tls: true)
    connection.publish(queue(version, 'receipt'), 'x', 'receipt' => 'over tls')
    expect('RECEIPT', connection.receive.command, 'receipt over TLS')
    connection.disconnect
  end

  check(version, 'durable subscription') do
    who = { 'client-id' => "gem-#{version}" }
    topic = "/topic/mcollective.gem.durable.#{version.tr('.', '_')}"
    durable = { 'activemq.subscriptionName' => 'd' }
    first = connect(version, who)
    subscribe(first, version, topic, durable)
    first.disconnect('receipt' => 'bye')
    sender = connect(version)
    sender.publish(topic, 'while away', 'receipt' => 'taken')
    expect('RECEIPT', sender.receive.command, 'taken without a consumer')
    sender.disconnect
    again = connect(version, who)
    subscribe(again, version, topic, durable)
    expect('while away', message(again).body, 'what waited')
    named = version == '1.0' ? durable : durable.merge('id' => 'one')
    again.unsubscribe(topic, named.merge('receipt' => 'deleted'))
    expect('RECEIPT', again.receive.command, 'answer to UNSUBSCRIBE')
    again.disconnect
  end

  next if version == '1.0'

  check(version, 'nack') do
    connection = connect(version)
    destination = queue(version, 'nack')
    subscribe(connection, version, destination, 'ack' => 'client-individual')
    connection.publish(destination, 'refused')
    acknowledge(connection, version, message(connection), :nack)
    connection.disconnect('receipt' => 'bye')
    again = connect(version)
    subscribe(again, version, destination)
    again.publish(destination, 'end')
    expect('end', message(again).body, 'what follows a nacked message')
    again.disconnect
  end

  check(version, 'heart-beat') do
    connection = connect(version, { 'heart-beat' => "#{HEART_BEAT_MS},#{HEART_BEAT_MS}" })
    sleep 4 * HEART_BEAT_MS / 1000.0
    raise "#{connection.hbrecv_count} heart-beats received" unless connection.hbrecv_count >= 2
    raise 'no heart-beat interval agreed' unless connection.hbrecv_interval.positive?
    connection.publish(queue(version, 'receipt'), 'x', 'receipt' => 'alive')
    expect('RECEIPT', connection.receive.command, 'still connected')
    connection.disconnect
  end
end
puts 'all done'
