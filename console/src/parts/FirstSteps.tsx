import { Command, Empty } from './basics';

/** How calls come to outrider, where none did yet. */
export function FirstSteps() {
  return (
    <Empty title="No call came yet.">
      <ol className="first-steps">
        <li>
          Let Kong send its log. This shows the change that it makes to the gateway, and asks before:
          <Command>outrider kong setup --config outrider.toml</Command>
        </li>
        <li>
          Make a call through the gateway, and let outrider prove each hop from Kong to here:
          <Command>outrider doctor --config outrider.toml</Command>
        </li>
        <li>
          Logs of before can be brought in as history:
          <Command>outrider replay access.ndjson --into outrider-data/ --config outrider.toml</Command>
        </li>
      </ol>
    </Empty>
  );
}
