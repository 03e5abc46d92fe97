"""The configuration: one TOML file, checked as a whole, before anything starts.

`load` reads it; `LoadedConfig.to_core` and `.to_mqtt` hand it on.  No module reads settings globally.
"""

from posturewatch.config.calibration import kept_path, read_calibration, read_kept, write_calibration
from posturewatch.config.core_settings import to_mapped_topics
from posturewatch.config.loading import LoadedConfig, find_file, find_folder, load
from posturewatch.config.model import Bluetooth, Broker, Config, HomeAssistant, Log, Storage
from posturewatch.config.wearer import RemindingManners, Sensor, Wearer

__all__ = [
    "Bluetooth",
    "Broker",
    "Config",
    "HomeAssistant",
    "LoadedConfig",
    "Log",
    "RemindingManners",
    "Sensor",
    "Storage",
    "Wearer",
    "find_file",
    "find_folder",
    "kept_path",
    "load",
    "read_calibration",
    "read_kept",
    "to_mapped_topics",
    "write_calibration",
]
