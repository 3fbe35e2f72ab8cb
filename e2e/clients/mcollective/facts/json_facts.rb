# Facts from a JSON file, for nodes of the tests. MCollective's own YAML source (2.12.5) calls YAML.safe_load with
# positional arguments, which the Ruby of Debian 12 no longer takes: every node would have no facts at all.

require 'json'

module MCollective
  module Facts
    # Reads the file that `plugin.json` of the configuration names.
    class Json_facts < Base
      def load_facts_from_source
        JSON.parse(File.read(Config.instance.pluginconf['json']))
      end

      def force_reload?
        false
      end
    end
  end
end
